"""The plugin's page in napari's preferences, with safe defaults where there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLUGIN = "napari-sesami"
DEFAULT_MODEL = "sesami-nano"


@dataclass(frozen=True)
class ViewerSettings:
    """What the user set in Preferences ▸ Sesami.

    Attributes
    ----------
    device
        "auto", "cpu", "cuda" or "mps".
    model
        Name in the catalog, of the model used for clicks.
    cache_folder
        Where embeddings and tokens are kept; None is the usual place.
    autosave_seconds
        How often an open project is saved by itself; 0 is never.
    """

    device: str = "auto"
    model: str = DEFAULT_MODEL
    cache_folder: Path | None = None
    autosave_seconds: int = 30


def read_settings() -> ViewerSettings:
    """Read the preferences; a setting that is missing keeps its default."""
    from napari.settings import get_plugin_settings

    try:
        stored = get_plugin_settings(PLUGIN)
    except KeyError:  # the plugin is used from a script and not registered
        return ViewerSettings()
    default = ViewerSettings()
    folder = str(_get(stored, "files", "cache_folder", ""))
    return ViewerSettings(
        device=str(_get(stored, "compute", "device", default.device)),
        model=str(_get(stored, "compute", "model", default.model)) or default.model,
        cache_folder=Path(folder).expanduser() if folder else None,
        autosave_seconds=int(
            _get(stored, "files", "autosave_seconds", default.autosave_seconds)
        ),
    )


def remember_model(name: str) -> None:
    """Set the model for clicks in the preferences; an empty name is the bundled one."""
    from napari.settings import get_plugin_settings

    try:
        stored = get_plugin_settings(PLUGIN)
    except KeyError:  # the plugin is used from a script and not registered
        return
    stored.compute.model = name or DEFAULT_MODEL


def apply_cache_folder(settings: ViewerSettings) -> None:
    """Point the rest of the package at the cache folder the user chose."""
    if settings.cache_folder is not None:
        os.environ.setdefault("SESAMI_HOME", str(settings.cache_folder))


def _get(stored: Any, group: str, name: str, default: Any) -> Any:
    return getattr(getattr(stored, group, None), name, default)
