"""The widgets of nbtune, reached as `nbtune.widgets`."""

__all__: list[str] = []
