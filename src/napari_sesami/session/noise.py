"""Noise like the instrument's: fitted on scans, kept with the project, used by runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import Cancelled, not_cancelled
from napari_sesami.common.errors import SesamiError
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.noise import NoiseFit
    from napari_sesami.project import Project
    from napari_sesami.scan import Scan
    from napari_sesami.session.checks import Plane
    from napari_sesami.session.document import Document

ROOM, FILE = "noise", "fit.json"
MOST_SCANS = 24  # of a folder; more hardly change the range


class ScanNoise:
    """Fits noise on the scan or on a folder, and keeps the fit with the project.

    Parameters
    ----------
    document
        The scan, and the project that the fit travels with.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._kept: NoiseFit | None = None
        self._read: Project | None = None
        document.events.saved.connect(self._on_saved)

    @property
    def fitted(self) -> NoiseFit | None:
        """What runs draw noise with; None as long as nothing is kept."""
        home = self._document.home
        if home is not None and home is not self._read:
            stored = home.read_json(ROOM, FILE)
            if stored is not None:
                from napari_sesami.noise import NoiseFit

                self._kept = NoiseFit.from_dict(stored)
            self._read = home
        return self._kept

    def fit(
        self, planes: Sequence[int] | None = None, stop: IsCancelled = not_cancelled
    ) -> NoiseFit:
        """Fit the noise of the open scan; `keep` what you like.

        Raises
        ------
        NoiseError
            The scan shows no noise to fit; the sentence says why.
        """
        from napari_sesami.noise import fit

        return fit(self._document.scan, planes, stop)

    def fit_files(
        self, files: Iterable[str | Path], stop: IsCancelled = not_cancelled
    ) -> NoiseFit:
        """Fit the noise of many scans, such as those of a work list: with its range.

        Of more than 24 files, as many are looked at, evenly spread.
        """
        from napari_sesami.noise import NoiseError, fit
        from napari_sesami.scan import open_scan

        paths = list(files)
        step = max(1, -(-len(paths) // MOST_SCANS))
        scans: list[Any] = []
        first = ""
        for path in paths[::step]:
            if stop():
                raise Cancelled("Stopped as asked.")
            try:
                scans.append(open_scan(path))
            except SesamiError as error:
                first = first or str(error)
        if not scans:
            raise NoiseError(
                first or "There are no scans in this list to fit noise on."
            )
        return fit(scans, stop=stop)

    def beside(
        self, fit: NoiseFit, plane: Plane = None, side: int = 128
    ) -> tuple[NDArray[np.float32], ...]:
        """Draw three pictures to compare: the scan, usual noise, and fitted noise.

        A part of a plane, with brightness from 0 to 1; the latter two on what is left
        of it without its noise.
        """
        import torch
        from skimage.restoration import denoise_tv_chambolle

        from napari_sesami.noise import instrument_of, strong_sets

        scan = self._document.scan
        number = self._document.plane_number(plane)
        box = _busiest(scan, number, side)
        real = scan.grey(number, box)
        strength = 3.0 * fit.level(float(real.mean()))
        smooth = denoise_tv_chambolle(real, max(strength, 1e-3))
        clean = torch.from_numpy(np.asarray(smooth, np.float32))[None, None]
        usual = strong_sets(instrument_of(scan.modality) or "haadf").machine
        drawn = usual(clean, None, None, torch.Generator().manual_seed(0)).images
        fitted = fit.draw(clean, torch.Generator().manual_seed(0))
        return real, drawn[0, 0].numpy(), fitted[0, 0].numpy()

    def keep(self, fit: NoiseFit) -> None:
        """Let runs from now on draw noise like this; it is saved with the project."""
        self._kept = fit
        self._write()

    def forget(self) -> None:
        """Draw the usual noise again."""
        self._kept = None
        self._write()

    def _write(self) -> None:
        home = self._document.home
        self._read = home
        if home is None:
            return
        if home.read_only:
            raise SessionError(
                f"{home.path} is open read-only, so the fitted noise is used in this "
                "session only; save into another folder to keep it."
            )
        if self._kept is None:
            home.remove_json(ROOM, FILE)
        else:
            home.write_json(ROOM, FILE, self._kept.to_dict())

    def _on_saved(self) -> None:
        """Hear of a save, maybe into a project that was not there before."""
        home = self._document.home
        if home is not None and home is not self._read and self._kept is not None:
            self._write()


def _busiest(scan: Scan, plane: int, side: int) -> tuple[int, int, int, int]:
    """Find, of nine parts of a plane, the one with most to see."""
    height, width = scan.plane_shape
    tall, wide = min(side, height), min(side, width)
    boxes = [
        (y, x, y + tall, x + wide)
        for y in {round((height - tall) * k / 2) for k in range(3)}
        for x in {round((width - wide) * k / 2) for k in range(3)}
    ]
    return max(sorted(boxes), key=lambda box: float(scan.grey(plane, box).std()))
