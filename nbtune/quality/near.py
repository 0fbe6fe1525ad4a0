"""Near duplicates: pictures that fit each other after a small turn and shift, rows that all but agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nbtune.quality.stopping import Stopped

__all__ = ["ALIKE", "components", "near_pictures", "near_rows", "steps"]

ALIKE = 0.95  # correlation after the best turn and shift
APART = 0.15  # of the distance to what usually comes close
_TURNS = tuple(range(-15, 16, 3))  # degrees
_SHIFT = 3  # pixels of 32
BLUR = 1.4  # pixels of 32
_NEIGHBOURS = 8  # in each space
_BESIDE = 6  # the seventh nearest is no copy, unless seven or more copies stand there
_ROWS = 512  # items that are compared with all others at a time
_PAIRS = 2048

Pairs = npt.NDArray[np.int64]
Ticks = Callable[[], None]


def near_pictures(
    vectors: Any, thumbs: Any, stopped: Callable[[], bool], tick: Ticks = lambda: None
) -> tuple[Pairs, npt.NDArray[np.float64]]:
    """Pairs of places [p, 2] of pictures that are near duplicates, and how alike they are [p], 1 at most.

    Candidates are each picture's nearest neighbours by features and by pixels. They are compared at 32×32, without
    regard to brightness and contrast, over turns of up to 15° and shifts of up to 3 pixels: a pair counts where its
    correlation is `ALIKE` or more, and where its distance, 1 less that, is `APART` or less of the distance to the
    seventh nearest of either. In data whose items all look alike the second rule is the one that tells a copy.

    Source of the idea of a ratio: Lowe (2004), Distinctive image features from scale-invariant keypoints.
    Raises Stopped.
    """
    smooth = _smoothed(thumbs)
    flat = [index for index, one in enumerate(smooth) if float(one.std()) < 1e-3]  # empty: nothing to compare
    pairs = _candidates([torch.from_numpy(_unit(vectors)), _centred(smooth).flatten(1)], stopped, tick)
    pairs = pairs[~np.isin(pairs, flat).any(1)]
    alike = _aligned(smooth, pairs, stopped, tick)
    chosen = _chosen(pairs, alike, len(thumbs))
    return pairs[chosen], alike[chosen]


def _unit(vectors: Any) -> npt.NDArray[np.float32]:
    """Standardised and of length 1."""
    spread = vectors.std(0)
    scaled = (vectors - vectors.mean(0)) / np.where(spread > 1e-12, spread, 1)
    return np.asarray(scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def _smoothed(thumbs: Any) -> torch.Tensor:
    """A blur takes away what noise and re-encoding add."""
    pictures = torch.from_numpy(np.asarray(thumbs, dtype=np.float32) / 255)[:, None]
    side = torch.exp(-0.5 * (torch.arange(-3.0, 4.0) / BLUR) ** 2)
    kernel = (side[:, None] * side[None]) / side.sum() ** 2
    padded = torch.nn.functional.pad(pictures, (3, 3, 3, 3), mode="replicate")
    smooth: torch.Tensor = torch.nn.functional.conv2d(padded, kernel[None, None])[:, 0]
    return smooth


def _centred(pictures: torch.Tensor) -> torch.Tensor:
    """Inside of a circle, which a turn keeps, of mean 0 and length 1; 0 outside."""
    half = (pictures.shape[-1] - 1) / 2
    place = torch.arange(pictures.shape[-1]) - half
    inside = (place[:, None] ** 2 + place[None] ** 2 <= (half - 1) ** 2).float()
    mean = (pictures * inside).sum((1, 2), keepdim=True) / inside.sum()
    flat = ((pictures - mean) * inside).flatten(1)
    return (flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-9)).view_as(pictures)


def _candidates(spaces: Sequence[torch.Tensor], stopped: Callable[[], bool], tick: Ticks) -> Pairs:
    """Each item with its nearest neighbours in each space: pairs [p, 2], the smaller place first, each once."""
    n = len(spaces[0])
    k = min(_NEIGHBOURS, n - 1)
    found = []
    for space in spaces:
        for start in range(0, n, _ROWS):
            if stopped():
                raise Stopped("near duplicates")
            rows = torch.arange(start, min(n, start + _ROWS))
            close = space[rows] @ space.T
            close[torch.arange(len(rows)), rows] = -math.inf
            near = close.topk(k, dim=1).indices if k > 0 else torch.zeros((len(rows), 0), dtype=torch.int64)
            found.append(torch.stack([rows[:, None].expand_as(near).flatten(), near.flatten()], 1))
            tick()
    every = torch.cat(found).sort(1).values.numpy() if found else np.zeros((0, 2), np.int64)
    return np.unique(every, axis=0)


def _aligned(pictures: torch.Tensor, pairs: Pairs, stopped: Callable[[], bool], tick: Ticks) -> Any:
    """The highest correlation of each pair over turns and shifts, by the Fourier shift theorem: float [p]."""
    parts = []
    size = pictures.shape[-1]
    second = torch.fft.rfft2(_centred(pictures)).conj()
    for start in range(0, len(pairs), _PAIRS):
        if stopped():
            raise Stopped("near duplicates")
        one, other = torch.from_numpy(pairs[start : start + _PAIRS]).T
        once, where = torch.unique(one, return_inverse=True)  # each picture is turned once
        best = torch.full((len(one),), -1.0)
        for degrees in _TURNS:
            turned = torch.fft.rfft2(_centred(_turned(pictures[once], degrees)))
            map_ = torch.fft.irfft2(turned[where] * second[other], s=(size, size))
            near = torch.cat([map_[:, :, : _SHIFT + 1], map_[:, :, -_SHIFT:]], 2)
            near = torch.cat([near[:, : _SHIFT + 1], near[:, -_SHIFT:]], 1)
            best = torch.maximum(best, near.flatten(1).max(1).values)
        parts.append(best.double().numpy())
        tick()
    return np.concatenate(parts) if parts else np.zeros(0)


def _turned(pictures: torch.Tensor, degrees: float) -> torch.Tensor:
    if not degrees:
        return pictures
    angle = math.radians(degrees)
    matrix = torch.tensor([[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]])
    grid = torch.nn.functional.affine_grid(
        matrix[None].expand(len(pictures), 2, 3), [len(pictures), 1, *pictures.shape[1:]], align_corners=False
    )
    turned: torch.Tensor = torch.nn.functional.grid_sample(
        pictures[:, None], grid, padding_mode="border", align_corners=False
    )[:, 0]
    return turned


def _chosen(pairs: Pairs, alike: Any, n: int) -> npt.NDArray[np.bool_]:
    """Pairs that are alike, and much closer than what else comes close to either."""
    distances = 1 - alike
    both = np.concatenate([pairs[:, 0], pairs[:, 1]])
    order = np.lexsort((np.tile(distances, 2), both))
    first = np.searchsorted(both[order], np.arange(n))
    count = np.bincount(both, minlength=n)
    usual = np.full(n, 1.0)
    some = count > 0
    at = first[some] + np.minimum(_BESIDE, count[some] - 1)
    usual[some] = np.tile(distances, 2)[order][at]
    usual[count == 1] = 1.0  # nothing else is near it
    room = np.minimum(usual[pairs[:, 0]], usual[pairs[:, 1]])
    return np.asarray((alike >= ALIKE) & (distances <= APART * room), dtype=bool)


def near_rows(frame: Any, cats: Sequence[str], conts: Sequence[str]) -> Pairs | None:
    """Pairs of rows whose categories agree and whose numbers differ by 1 % of their spread at most, and are not equal.

    None where fewer than three columns hold more than 20 different numbers: there rows agree by chance.
    """
    from sklearn.neighbors import NearestNeighbors

    if sum(frame[name].nunique() > 20 for name in conts) < 3:
        return None
    raw = np.stack([frame[name].to_numpy(dtype=float, na_value=np.nan) for name in conts], 1)
    spread = np.nanstd(raw, 0)
    scaled = (raw - np.nanmean(raw, 0)) / np.where(spread > 1e-12, spread, 1)
    codes = [np.unique(frame[name].astype(str), return_inverse=True)[1] for name in cats]
    points = np.column_stack([np.nan_to_num(scaled, nan=1e6), *(1e3 * code for code in codes)])
    near = NearestNeighbors(metric="chebyshev", algorithm="kd_tree").fit(points).radius_neighbors(points, 0.01)[1]
    found = [(i, j) for i, others in enumerate(near) for j in others if i < j and (points[i] != points[j]).any()]
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


def components(pairs: Pairs, n: int) -> list[list[int]]:
    """Places that are joined by pairs, directly or by others: groups of two or more, in order."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(pairs):
        return []
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    number = connected_components(graph, directed=False)[1]
    found: dict[int, list[int]] = {}
    for place in np.unique(pairs):
        found.setdefault(int(number[place]), []).append(int(place))
    return list(found.values())


def steps(n: int) -> int:
    """How often `near_pictures` moves its progress on, at most."""
    return 2 * -(-n // _ROWS) + -(-2 * _NEIGHBOURS * n // _PAIRS)
