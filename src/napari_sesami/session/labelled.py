"""Labels for measuring a lot: those of a project, or what a bank makes of each scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.measure import ScanWithLabels, scan_files
from napari_sesami.project import Project
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterable


class ProjectLabels:
    """Labels that a project holds; scans are found by their place or content.

    Parameters
    ----------
    project
        Its folder. Without it: the folder given itself, one of its name beside it, or
        the only ``*.sesami`` in or beside it.
    """

    def __init__(self, project: str | Path | None = None) -> None:
        self.project = None if project is None else str(project)

    def scans(self, given: Iterable[str | Path]) -> list[str]:
        """Give ``PROJECT::KEY`` of every scan of the project among what is given."""
        found: list[str] = []
        for item in given:
            path = Path(item)
            home = Path(self.project) if self.project else _project_of(path)
            project = Project.open(home, read_only=True)
            try:
                entries = list(project.scans)
                if path.suffix != ".sesami":
                    files = {p.resolve() for p in scan_files([path])}
                    names = {p.name for p in files}
                    entries = [
                        e
                        for e in entries
                        if e.path is not None
                        and (Path(e.path) in files or Path(e.path).name in names)
                    ]
                found += [f"{home}::{e.key}" for e in entries]
            finally:
                project.close()
        return list(dict.fromkeys(found))

    def open(self, name: str) -> ScanWithLabels:
        """Open a scan of the project with its labels as they are now."""
        home, _, key = name.rpartition("::")
        project = Project.open(home, read_only=True)
        try:
            scan = project.open_scan(key)
            layer = project.labels_of(key).layers["labels"]
            shape = (*scan.leading_shape, *scan.plane_shape)
            labels = np.zeros((scan.n_planes, *scan.plane_shape), np.uint8)
            for plane in layer.planes:
                labels[plane] = layer.read(plane)
            classes = {c.name: c.id for c in project.classes}
        finally:
            project.close()
        return ScanWithLabels(scan, labels.reshape(shape), classes, Path(home).name)


class BankLabels:
    """Labels that a bank of patch tokens gives, with votes.

    Parameters
    ----------
    bank
        A ``.bank`` file.
    model
        The token encoder of the bank.
    """

    def __init__(self, bank: str | Path, model: str = "sesami-nano") -> None:
        self.bank, self.model = str(bank), model

    def scans(self, given: Iterable[str | Path]) -> list[str]:
        """Give the scans among files and folders."""
        return [str(p) for p in scan_files(given)]

    def open(self, name: str) -> ScanWithLabels:
        """Label every plane of a scan by the bank."""
        from napari_sesami.models import load_token_encoder
        from napari_sesami.session.session import Session

        session = Session(name)
        session.retrieval.encoder = load_token_encoder(self.model)
        session.retrieval.teach(self.bank)
        found = session.segment(planes=range(session.scan.n_planes))
        scan = session.scan
        labels = found.labels.reshape(*scan.leading_shape, *scan.plane_shape)
        classes = {c.name: c.id for c in session.classes}
        source = f"bank {Path(self.bank).name}"
        return ScanWithLabels(scan, labels, classes, source, found.votes)


class SegmenterLabels:
    """Labels that a segmenter gives, with its probabilities as votes.

    Parameters
    ----------
    folder
        Of a run of the recipe `semi`, or of a segmenter.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = str(folder)

    def scans(self, given: Iterable[str | Path]) -> list[str]:
        """Give the scans among files and folders."""
        return [str(p) for p in scan_files(given)]

    def open(self, name: str) -> ScanWithLabels:
        """Label every plane of a scan."""
        from napari_sesami.models import Segmenter
        from napari_sesami.scan import open_scan

        scan = open_scan(name)
        model = Segmenter.load(self.folder)
        found = [model.segment_scan(scan, p) for p in range(scan.n_planes)]
        shape = (*scan.leading_shape, *scan.plane_shape)
        classes = {n: i for i, n in model.card.classes.items() if i}
        return ScanWithLabels(
            scan,
            np.stack([f.labels for f in found]).reshape(shape),
            classes,
            f"segmenter {model.name}",
            np.stack([f.votes for f in found]),
        )


def _project_of(path: Path) -> Path:
    """Find the project that a scan or a folder of scans belongs to."""
    if path.suffix == ".sesami":
        return path
    whole = path.resolve()
    folder = whole if whole.is_dir() else whole.parent
    named = [folder.with_name(f"{folder.name}.sesami")]
    named += [whole.with_suffix(".sesami")] if whole.is_file() else []
    for candidate in named:
        if candidate.is_dir():
            return candidate
    around = sorted({*folder.glob("*.sesami"), *folder.parent.glob("*.sesami")})
    if len(around) == 1:
        return around[0]
    many = "several projects" if around else "no project"
    raise SessionError(
        f"There is {many} in or beside {folder}; say which one holds the labels."
    )
