"""Groups: every tensor and leaf module in exactly one, in forward order, under the names people know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision.models as tv
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbtune.errors import FreezeError, InputError, InputTypeError, NbtuneError
from nbtune.groups import Group, index_of, is_norm, read, split

BLOCKS = ("embeddings", "block0", "block1", "block2", "head")
RESNET = ("stem", "layer1", "layer2", "layer3", "layer4", "head")


def stages(count: int, stem: bool = True) -> tuple[str, ...]:
    return (*(("stem",) if stem else ()), *(f"stage{i + 1}" for i in range(count)), "head")


def vision(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: getattr(tv, name)(weights=None, num_classes=7, **options)


def small_vit() -> nn.Module:
    return tv.VisionTransformer(32, 8, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=16, num_classes=3)


# Names as the papers and the libraries' own state dicts have them; the size is the side of the smallest image
# that goes through (None: no forward pass, it would be slow).
VISION = {
    "resnet18": (vision("resnet18"), RESNET, 32),
    "resnet101": (vision("resnet101"), RESNET, None),  # layer3 alone holds most of the weights
    "densenet121": (vision("densenet121"), ("stem", *(f"denseblock{i}" for i in (1, 2, 3, 4)), "head"), 32),
    "vgg11_bn": (vision("vgg11_bn"), stages(5, stem=False), None),
    "alexnet": (vision("alexnet"), stages(3, stem=False), 64),
    "efficientnet_b0": (vision("efficientnet_b0"), stages(7), 32),
    "mobilenet_v2": (vision("mobilenet_v2"), stages(5), 32),
    "mobilenet_v3_small": (vision("mobilenet_v3_small"), stages(4), 32),
    "convnext_tiny": (vision("convnext_tiny"), stages(4), 32),
    "swin_t": (vision("swin_t"), stages(4), 32),
    "vit": (small_vit, BLOCKS, 32),
    "regnet_y_400mf": (vision("regnet_y_400mf"), ("stem", *(f"block{i}" for i in (1, 2, 3, 4)), "head"), 32),
    "shufflenet_v2_x0_5": (vision("shufflenet_v2_x0_5"), ("stem", "stage2", "stage3", "stage4", "head"), 32),
    "mnasnet0_5": (vision("mnasnet0_5"), stages(6), 32),
    "squeezenet1_1": (vision("squeezenet1_1"), stages(3), 32),
    "googlenet": (
        vision("googlenet", init_weights=False),
        ("stem", "inception3", "inception4", "inception5", "head"),
        32,
    ),
    "inception_v3": (
        vision("inception_v3", init_weights=False),
        ("stem", "Mixed_5", "Mixed_6", "Mixed_7", "head"),
        80,
    ),
    "maxvit_t": (vision("maxvit_t"), stages(4), None),
}

# timm's own matchers decide the cuts here: names as in its state dicts.
TIMM = {
    "resnet18": (RESNET, 32),
    "convnext_atto": (("stem", *(f"stages.{i}" for i in range(4)), "head"), 32),
    "efficientnet_b0": (("stem", *(f"blocks.{i}" for i in range(7)), "head"), 32),
    "mobilenetv3_small_050": (("stem", *(f"blocks.{i}" for i in range(6)), "head"), 32),
    "vit_tiny_patch16_224": (("stem", *(f"blocks.{i}" for i in range(12)), "head"), 224),
    "swin_tiny_patch4_window7_224": (("stem", *(f"layers.{i}" for i in range(4)), "head"), None),
    "regnety_002": (("stem", "s1", "s2", "s3", "s4", "head"), 32),
    "densenet121": (("stem", *(f"denseblock{i}" for i in (1, 2, 3, 4)), "head"), None),
    "vgg11_bn": (stages(5, stem=False), None),
}

SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
DISTIL = {"n_layers": 3, "dim": 16, "n_heads": 2, "hidden_dim": 16, "vocab_size": 99}
GPT2 = {"n_layer": 3, "n_embd": 16, "n_head": 2, "vocab_size": 99, "bos_token_id": 1, "eos_token_id": 1}
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
TEXT = {**SMALL, **TOKENS, "vocab_size": 99}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "bert": ("BertConfig", TEXT, "BertForSequenceClassification"),
    "bert, masked language model": ("BertConfig", TEXT, "BertForMaskedLM"),
    "bert without a task": ("BertConfig", TEXT, "BertModel"),
    "distilbert": ("DistilBertConfig", DISTIL, "DistilBertForSequenceClassification"),
    "roberta": ("RobertaConfig", TEXT, "RobertaForSequenceClassification"),
    "deberta-v2": (
        "DebertaV2Config",
        {
            **TEXT,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "norm_rel_ebd": "layer_norm",
            "conv_kernel_size": 3,
        },
        "DebertaV2ForSequenceClassification",
    ),
    "electra": ("ElectraConfig", {**TEXT, "embedding_size": 8}, "ElectraForSequenceClassification"),
    "gpt2": ("GPT2Config", {**GPT2, "pad_token_id": 0}, "GPT2ForSequenceClassification"),
    "gpt2, language model": ("GPT2Config", GPT2, "GPT2LMHeadModel"),
    "llama": ("LlamaConfig", TEXT, "LlamaForSequenceClassification"),
    "modernbert": ("ModernBertConfig", {**TEXT, **TOKENS}, "ModernBertForSequenceClassification"),
    "vit": ("ViTConfig", {**SMALL, "image_size": 32, "patch_size": 8}, "ViTForImageClassification"),
}


def check_cover(model: nn.Module, groups: tuple[Group, ...]) -> None:
    tensors = [name for group in groups for name in group.tensors]
    expected = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    expected += [name for name, _ in model.named_buffers(remove_duplicate=False)]
    assert sorted(tensors) == sorted(expected)
    paths = [path for group in groups for path in group.modules]
    assert not any(one != other and other.startswith(f"{one}.") for one in paths for other in paths)
    named = dict(model.named_modules(remove_duplicate=False))
    for path, module in named.items():
        if not list(module.children()):
            owners = [p for p in paths if p in ("", path) or path.startswith(f"{p}.")]
            assert len(owners) == 1, (path, owners)
    assert len({group.name for group in groups}) == len(groups)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    assert all(any(name in parameters for name in group.tensors) for group in groups)


def call_order(model: nn.Module, groups: tuple[Group, ...], *inputs: Any, **named: Any) -> list[int]:
    """Indices of the groups in the order in which a layer with parameters of each is first called."""
    calls: list[int] = []
    hooks = []
    for index, group in enumerate(groups):
        for path in group.modules:
            for part in model.get_submodule(path).modules():
                if next(part.parameters(), None) is not None:
                    hooks.append(part.register_forward_pre_hook(lambda *_, i=index: calls.append(i)))
    model.eval()
    with torch.no_grad():
        model(*inputs, **named)
    for hook in hooks:
        hook.remove()
    return list(dict.fromkeys(calls))


def check(model: nn.Module, names: tuple[str, ...] | None, *inputs: Any, **named: Any) -> None:
    for grain in ("stage", "block"):
        groups = split(model, grain)
        check_cover(model, groups)
        assert len(groups) > 1
        if grain == "stage" and names is not None:
            assert tuple(group.name for group in groups) == names
        if inputs or named:
            first = call_order(model, groups, *inputs, **named)
            assert first == sorted(first)
            assert len(first) > 1


@pytest.mark.parametrize("name", VISION)
def test_torchvision(name: str) -> None:
    make, names, size = VISION[name]
    model = make()
    check(model, names, *([torch.randn(1, 3, size, size)] if size else []))


@pytest.mark.parametrize("name", TIMM)
def test_timm_models_are_cut_by_their_own_matcher(name: str) -> None:
    timm = pytest.importorskip("timm")
    names, size = TIMM[name]
    model = timm.create_model(name, pretrained=False, num_classes=3)
    check(model, names, *([torch.randn(1, 3, size, size)] if size else []))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    config, options, kind = TRANSFORMERS[name]
    torch.manual_seed(0)
    model = getattr(transformers, kind)(getattr(transformers, config)(**options))
    inputs = {"input_ids": torch.arange(3, 9)[None]}
    check(model, BLOCKS, **({"pixel_values": torch.randn(1, 3, 32, 32)} if name == "vit" else inputs))


def test_encoder_decoder_stacks_are_divided_too() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(vocab_size=99, d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2)
    model = transformers.T5ForConditionalGeneration(config)
    check(model, ("embeddings", "encoder.0", "encoder.1", "decoder.0", "decoder.1", "head"))


def fastai_models() -> dict[str, tuple[Callable[[], nn.Module], tuple[str, ...], tuple[Any, ...]]]:
    from fastai.collab import EmbeddingDotBias, EmbeddingNN
    from fastai.tabular.model import TabularModel
    from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_clas_config, awd_lstm_lm_config
    from fastai.text.models.core import get_language_model, get_text_classifier
    from fastai.vision.learner import create_timm_model, create_unet_model, create_vision_model
    from fastai.vision.models.xresnet import xresnet18

    image, small = (torch.randn(2, 3, 64, 64),), {"emb_sz": 8, "n_hid": 8, "n_layers": 3}
    codes, numbers = torch.zeros(2, 2, dtype=torch.long), torch.randn(2, 3)
    text, rnn = torch.randint(2, 90, (2, 7)), ("embeddings", "rnn0", "rnn1", "rnn2", "head")
    table = ("embeds", "layers.0", "layers.1", "head")
    return {
        "vision resnet18": (lambda: create_vision_model(tv.resnet18, 5, pretrained=False), RESNET, image),
        "vision densenet": (
            lambda: create_vision_model(tv.densenet121, 5, pretrained=False),
            VISION["densenet121"][1],
            image,
        ),
        "vision swin": (lambda: create_vision_model(tv.swin_t, 5, pretrained=False), stages(4), ()),
        "vision squeezenet": (
            lambda: create_vision_model(tv.squeezenet1_1, 5, pretrained=False),
            stages(3),
            image,
        ),
        "timm convnext": (
            lambda: create_timm_model("convnext_atto", 5, pretrained=False)[0],
            TIMM["convnext_atto"][0],
            image,
        ),
        "timm resnet18": (lambda: create_timm_model("resnet18", 5, pretrained=False)[0], RESNET, image),
        "xresnet": (lambda: xresnet18(n_out=5), RESNET, image),
        "unet": (lambda: create_unet_model(tv.resnet18, 5, (64, 64), pretrained=False), RESNET, image),
        "tabular": (lambda: TabularModel([(4, 3), (5, 3)], 3, 2, [20, 10]), table, (codes, numbers)),
        "tabular, numbers only": (lambda: TabularModel([], 3, 2, [9, 9]), table, (codes[:, :0], numbers)),
        "tabular, no batch norm": (
            lambda: TabularModel([], 3, 2, [9], bn_cont=False),
            ("layers.0", "head"),
            (codes[:, :0], numbers),
        ),
        "collab dot": (lambda: EmbeddingDotBias(5, 9, 9, (0, 5)), ("users", "items", "head"), (codes,)),
        "collab nn": (lambda: EmbeddingNN([(4, 3), (5, 3)], [9, 9]), table, (codes,)),
        "text classifier": (
            lambda: get_text_classifier(AWD_LSTM, 99, 3, config={**awd_lstm_clas_config, **small}),
            rnn,
            (text,),
        ),
        "language model": (
            lambda: get_language_model(AWD_LSTM, 99, config={**awd_lstm_lm_config, **small}),
            rnn,
            (text,),
        ),
    }


FASTAI = fastai_models()


@pytest.mark.parametrize("name", FASTAI)
def test_fastai(name: str) -> None:
    make, names, inputs = FASTAI[name]
    check(make(), names, *inputs)


def test_a_vision_learner_keeps_the_whole_new_head_in_one_group() -> None:
    groups = split(FASTAI["vision resnet18"][0]())
    assert groups[-1].modules == ("1",)
    assert groups[0].modules == ("0.0", "0.1", "0.2", "0.3")


class Block(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, out, 3, 2, 1), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1), nn.BatchNorm2d(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))


class Residual(nn.Module):
    """The shape of nbtune's own body: children are the stages."""

    def __init__(self, deep: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        for i in range(1, 5):
            block = Block(4, 4)
            setattr(self, f"layer{i}", nn.Sequential(block, nn.Sequential()) if deep else block)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return self.head(x)


@pytest.mark.parametrize("deep", [False, True])
def test_children_called_stem_layers_head_keep_their_names(deep: bool) -> None:
    check(Residual(deep), RESNET, torch.randn(1, 1, 32, 32))


def test_block_grain_divides_each_stage() -> None:
    names = [group.name for group in split(tv.resnet18(), "block")]
    inner = [f"layer{i}.{j}" for i in (1, 2, 3, 4) for j in (0, 1)]
    assert names == ["stem", *inner, "head"]
    assert [g.name for g in split(tv.mobilenet_v2(), "block")][1:5] == [
        "stage1",
        "stage2.0",
        "stage2.1",
        "stage3.0",
    ]


def test_class_token_and_positions_go_with_the_embeddings_and_the_last_norm_with_the_head() -> None:
    groups = split(small_vit())
    assert {"class_token", "encoder.pos_embedding"} <= set(groups[0].tensors)
    assert "encoder.ln" in groups[-1].modules


def test_pooling_and_dropout_before_the_classifier_belong_to_the_head() -> None:
    assert split(tv.resnet18())[-1].modules == ("avgpool", "fc")
    timm = pytest.importorskip("timm")
    assert split(timm.create_model("resnet18", pretrained=False))[-1].modules == ("global_pool", "fc")
    assert split(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(2, 2)))[
        -1
    ].modules == ("2", "3", "4")


def test_the_auxiliary_heads_of_googlenet_are_heads() -> None:
    assert {"aux1", "aux2"} <= set(split(tv.googlenet(init_weights=False))[-1].modules)


def test_tied_weights_stand_under_both_names_and_count_once() -> None:
    model = FASTAI["language model"][0]()
    groups = split(model)
    assert "0.encoder.weight" in groups[0].tensors
    assert "1.decoder.weight" in groups[-1].tensors
    assert sum(group.params for group in read(model, groups)) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    "wrap",
    [nn.Sequential, nn.DataParallel, lambda model: nn.Sequential(nn.Sequential(model), nn.Identity())],
)
def test_wrappers_are_seen_through(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model = wrap(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    check(model, ("linear0", "head"))


def test_a_class_of_the_same_name_from_elsewhere_is_cut_by_its_children() -> None:
    class TabularModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.out = nn.Linear(2, 2), nn.Linear(2, 2)

    check(TabularModel(), ("inner", "head"))


def test_parameters_that_no_leaf_owns_are_covered() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.act = nn.Parameter(torch.ones(2)), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.scale * x)

    weighted = nn.utils.parametrizations.weight_norm
    for model in (Scaled(), weighted(nn.Linear(2, 2))):
        assert [group.name for group in split(model)] == ["head"]
        check_cover(model, split(model))
    check(nn.Sequential(weighted(nn.Linear(2, 2)), Scaled(), weighted(nn.Linear(2, 2))), None, torch.ones(1, 2))


def test_numbered_fully_connected_layers_are_no_single_head() -> None:
    class Mlp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2, self.fc3 = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

    check(Mlp(), ("fc1", "fc2", "head"))


def test_one_layer_is_one_group() -> None:
    (only,) = split(nn.Linear(2, 2))
    assert (only.name, only.modules, only.tensors) == ("head", ("",), ("weight", "bias"))


def test_four_hundred_blocks() -> None:
    block = [nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)) for _ in range(400)]
    names = [g.name for g in split(nn.Sequential(nn.Embedding(3, 2), *block, nn.Linear(2, 2)))]
    assert len(names) == 402
    assert names[:2] + names[-2:] == ["embeddings", "block0", "block399", "head"]


def layer() -> st.SearchStrategy[nn.Module]:
    makers = (
        lambda: nn.Linear(4, 4),
        lambda: nn.LayerNorm(4),
        lambda: nn.BatchNorm1d(4),
        nn.ReLU,
        nn.Dropout,
        nn.Identity,
    )
    return st.sampled_from(makers).map(lambda make: make())


NESTED = st.recursive(layer(), lambda inner: st.lists(inner, max_size=4).map(lambda parts: nn.Sequential(*parts)))


@settings(max_examples=150, deadline=None)
@given(NESTED, st.sampled_from(["stage", "block"]))
def test_any_nested_sequential_is_covered_in_forward_order(model: nn.Module, grain: Any) -> None:
    leaves = [m for m in model.modules() if not list(m.children()) and list(m.parameters())]
    if not leaves:
        with pytest.raises(InputError):
            split(model, grain)
        return
    groups = split(model, grain)
    check_cover(model, groups)
    assert (len(groups) > 1) == (len(leaves) > 1)
    first = call_order(model, groups, torch.randn(2, 4))
    assert first == list(range(len(groups)))


@pytest.mark.parametrize("bad", [None, 3, "resnet18", tv.resnet18, torch.zeros(2)])
def test_what_is_no_module_is_refused(bad: Any) -> None:
    with pytest.raises(InputTypeError, match=r"Rule: a model is a torch\.nn\.Module"):
        split(bad)


@pytest.mark.parametrize("empty", [nn.Sequential(), nn.ReLU(), nn.Sequential(nn.Flatten(), nn.Identity())])
def test_a_model_without_parameters_is_refused(empty: nn.Module) -> None:
    with pytest.raises(InputError, match="at least one parameter"):
        split(empty)


def test_an_unknown_grain_is_refused() -> None:
    with pytest.raises(InputError, match='grain is "stage" or "block"'):
        split(nn.Linear(2, 2), "stages")  # type: ignore[arg-type]


GROUPS = split(Residual(False))


@pytest.mark.parametrize(("first", "index"), [(0, 0), (5, 5), (-1, 5), (-6, 0), ("head", 5), ("layer4", 4)])
def test_index_of(first: int | str, index: int) -> None:
    assert index_of(GROUPS, first) == index


def test_head_names_the_last_group_of_a_model_without_one() -> None:
    groups = (Group("encoder", ("a",), ()), Group("decoder", ("b",), ()))
    assert index_of(groups, "head") == 1


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(FreezeError) as caught:
        index_of(GROUPS, "layer5")
    text = str(caught.value)
    assert text.startswith("'layer5' names no group of this model.")
    assert "Rule: a group is one of stem, layer1, layer2, layer3, layer4, head." in text
    assert 'Next: "layer4" in its place.' in text


@pytest.mark.parametrize("first", [6, -7, 10**9])
def test_an_index_out_of_range_is_refused(first: int) -> None:
    with pytest.raises(FreezeError, match=r"-6 \.\. 5"):
        index_of(GROUPS, first)


@pytest.mark.parametrize("first", [True, False, 1.0, None, slice(1), ["head"]])
def test_another_type_is_refused(first: Any) -> None:
    with pytest.raises(InputTypeError, match="index or a name"):
        index_of(GROUPS, first)


MEANT: list[tuple[Any, str, str]] = [
    (-7, "for a model with more groups", '-1 or "head"'),
    (6, "indices begin at 0", '-1 or "head"'),
    ("heed", "typing slip", '"head" in its place.'),
    ("LAYER3", "typing slip", '"layer3" in its place.'),
    ("bert", "another model", '"head" for the last group.'),
    ("3", "index written as text", "3 without quotes."),
    (1.0, "float", "1 in its place."),
    (None, "nothing was to be still", "0 in its place."),
    (GROUPS[2], "a group itself", "'layer2' in its place."),
]


@pytest.mark.parametrize(("first", "likely", "better"), MEANT, ids=[str(row[0]) for row in MEANT])
def test_what_names_no_group_is_told_without_a_verb_that_nobody_wrote(first: Any, likely: str, better: str) -> None:
    with pytest.raises(NbtuneError) as caught:
        index_of(GROUPS, first)
    text = str(caught.value)
    assert "freeze_to" not in text
    assert "tuner" not in text
    assert likely in caught.value.likely
    assert caught.value.next.startswith(better)
    if isinstance(first, int | str):
        assert "stem, layer1, layer2, layer3, layer4, head" in caught.value.rule


def test_what_is_no_model_is_told_by_its_kind() -> None:
    for bad, likely in (("resnet18", "name of a model"), (tv.resnet18, "to be called"), (3, "something else")):
        with pytest.raises(InputTypeError) as caught:
            split(bad)  # type: ignore[arg-type]
        assert likely in caught.value.likely
    for grain, likely in (("stages", "typing slip"), (3, "another argument")):
        with pytest.raises(InputError) as error:
            split(nn.Linear(2, 2), grain)  # type: ignore[arg-type]
        assert likely in error.value.likely


class RMSNormOwn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))


RMSNormOwn.__name__ = "LlamaRMSNorm"


@pytest.mark.parametrize(
    ("module", "answer"),
    [
        (nn.BatchNorm2d(2), True),
        (nn.SyncBatchNorm(2), True),
        (nn.InstanceNorm1d(2), True),
        (nn.GroupNorm(1, 2), True),
        (nn.LayerNorm(2), True),
        (nn.RMSNorm(2), True),
        (RMSNormOwn(), True),
        (nn.Linear(2, 2), False),
        (tv.efficientnet_b0().features[0], False),  # Conv2dNormActivation: a convolution with its norm
    ],
)
def test_is_norm(module: nn.Module, answer: bool) -> None:
    assert is_norm(module) is answer


def test_read_says_what_the_model_does_now() -> None:
    model = Residual(False)
    groups = split(model)
    assert [group.norms for group in read(model, groups)] == ["train"] * 5 + [None]
    for part in (model.stem, model.layer1, model.layer2):
        part.requires_grad_(False)
    model.stem.eval()
    seen = read(model, groups, [0, 0, 0, 0.1, 0.1, 0.2])
    assert [group.norms for group in seen] == ["still", "stats", "stats", "train", "train", None]
    assert [group.trainable for group in seen] == [False, False, False, True, True, True]
    assert [group.lr for group in seen] == [0, 0, 0, 0.1, 0.1, 0.2]
    assert sum(group.params for group in seen) == sum(p.numel() for p in model.parameters())


def test_groups_show_themselves() -> None:
    model = Residual(False)
    model.stem.requires_grad_(False)
    seen = read(model, split(model))
    assert repr(seen).startswith("5 of 6 groups train")
    assert list(seen.frame().columns) == ["name", "params", "trainable", "norms", "lr"]
    assert seen._repr_html_().count("❄") == 1
    assert isinstance(seen, tuple)


def test_the_letters_body_has_a_group_a_stage_also_where_the_resolution_stays() -> None:
    from nbtune.bodies.letters import LetterNet

    assert [g.name for g in split(LetterNet(10))] == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
