"""The one place that knows where the package keeps models and caches."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return the user's folder for models and caches (`SESAMI_HOME` overrides it)."""
    given = os.environ.get("SESAMI_HOME")
    if given:
        return Path(given).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-sesami", appauthor=False)
