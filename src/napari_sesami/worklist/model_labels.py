"""Labels for measuring a lot: what a model makes of scans, taught by a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.measure import ScanWithLabels, scan_files
from napari_sesami.project import Project
from napari_sesami.session import SessionError
from napari_sesami.worklist.teacher import Teacher, labelled_scan

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 12  # scans of the project that teach


class ModelLabels:
    """Labels by a token encoder that has seen every labelled scan of a project.

    As the work list proposes them, but for all planes and without a window; crumbs are
    given to the class around them.

    Parameters
    ----------
    project
        A folder ``*.sesami`` with labelled scans.
    model
        The token encoder.
    """

    def __init__(self, project: str | Path, model: str = "sesami-nano") -> None:
        self.project, self.model = str(project), model

    def scans(self, given: Iterable[str | Path]) -> list[str]:
        """Give the scans among files and folders."""
        return [str(p) for p in scan_files(given)]

    def open(self, name: str) -> ScanWithLabels:
        """Label every plane of a scan; those that the project has are not copied."""
        from napari_sesami.models import load_token_encoder
        from napari_sesami.scan import open_scan
        from napari_sesami.worklist.proposals import settled

        scan = open_scan(name)
        project = Project.open(self.project, read_only=True)
        try:
            keys = [e.key for e in project.scans][-MOST:]
            sources = [s for k in keys if (s := labelled_scan(project, k)) is not None]
            classes = {c.name: c.id for c in project.classes}
        finally:
            project.close()
        if not sources:
            raise SessionError(
                f"{self.project} has no labelled scan that could teach a model."
            )
        top = max(classes.values(), default=0)
        encoder = load_token_encoder(self.model)
        retriever = Teacher().retriever(scan, encoder, sources, top)
        labels = np.zeros((scan.n_planes, *scan.plane_shape), np.uint8)
        votes = np.zeros((*labels.shape, top), np.float32)
        for plane in range(scan.n_planes):
            retriever.store.plane(plane)
            found = retriever.segment(plane)
            known = np.where(found.labels > top, 0, found.labels).astype(np.uint8)
            labels[plane] = settled(known)
            votes[plane] = found.votes[..., :top]
        shape = (*scan.leading_shape, *scan.plane_shape)
        source = f"model {self.model} taught by {Path(self.project).name}"
        return ScanWithLabels(scan, labels.reshape(shape), classes, source, votes)
