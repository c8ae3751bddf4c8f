"""Noise that was fitted to the user's scans, as a run takes it along in its `data`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sesami.common.checked import read_checked
from napari_sesami.common.disk import write_json
from napari_sesami.common.errors import SesamiError
from napari_sesami.train.errors import TrainError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.noise import NoiseFit

FILE = "noise.json"
MOST_BYTES = 1 << 20


def write_fitted(folder: Path, fit: NoiseFit) -> None:
    """Put fitted noise into a run's `data`; any recipe finds it there."""
    write_json(folder / FILE, fit.to_dict())


def read_fitted(folder: Path) -> NoiseFit | None:
    """Read the fitted noise of a run's `data`; None if it has none."""
    from napari_sesami.noise import NoiseFit

    try:
        stored = read_checked(folder / FILE, dict[str, Any], most=MOST_BYTES)
        return NoiseFit.from_dict(stored)
    except FileNotFoundError:
        return None
    except SesamiError as error:
        raise TrainError(
            f"The fitted noise in {folder} is damaged ({error}); start the run again "
            "from its session."
        ) from error
