"""The hosted session opens the quickstart."""

c.LabApp.default_url = "/lab/tree/notebooks/00_quickstart.ipynb"  # type: ignore[name-defined]  # noqa: F821
c.ServerApp.default_url = c.LabApp.default_url  # type: ignore[name-defined]  # noqa: F821
