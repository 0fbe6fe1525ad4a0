"""A look that is ended early."""

from __future__ import annotations

__all__ = ["Stopped"]


class Stopped(Exception):  # noqa: N818 (no error: it ends a part, and what was found before stays)
    """Raised where `stopped()` says so; the text names the part."""
