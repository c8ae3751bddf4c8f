"""Which segmenter labels scans of a project: adopted, remembered, rolled back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.errors import SesamiError
from napari_sesami.common.inside import inside
from napari_sesami.project import Remembered
from napari_sesami.session.errors import SessionError
from napari_sesami.session.segmentation import Segmentation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_sesami.models import SegmentedPlane, Segmenter
    from napari_sesami.session.document import Document

ROOM, MEMORY, KEY = "segmenters", "active.json", "segmenter"


class Segmenters:
    """The segmenter in use, and what it says of the scan at work.

    Parameters
    ----------
    document
        Whose project remembers what is in use.

    Examples
    --------
    >>> run = s.train("semi", unlabelled="folder")  # doctest: +SKIP
    >>> run.wait(), s.runs.adopt(run)  # doctest: +SKIP
    >>> s.segmenters.segment(planes=[5]).votes  # doctest: +SKIP
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._told: Remembered | None = None
        self._project: Any = None
        self._loaded: tuple[Path, Segmenter] | None = None
        self._kept: tuple[tuple[str, int], SegmentedPlane] | None = None

    # --- which one

    @property
    def active(self) -> Path | None:
        """Folder of the segmenter in use, or None."""
        name = self._remembered()["active"]
        return None if name is None else self._place(name)

    @property
    def can_roll_back(self) -> bool:
        """Whether another one, or none, was in use before."""
        return bool(self._remembered()["before"])

    def use(self, folder: str | Path | None) -> None:
        """Label with the segmenter of a folder from now on, or with none.

        Raises
        ------
        ModelError
            There is no segmenter; nothing changed.
        """
        from napari_sesami.models import read_segmenter_card, segmenter_folder

        path = None
        if folder is not None:
            path = segmenter_folder(folder).absolute()
            read_segmenter_card(path)
        if path == self.active:
            return
        told = self._remembered()
        before = [*told["before"], told["active"]]
        self._remember({"active": self._stored(path), "before": before})

    def keep(self, source: Path, name: str) -> Path:
        """Copy a segmenter to where those of this session are kept."""
        from napari_sesami.common.home import home
        from napari_sesami.models import segmenter_folder

        project = self._document.project
        if project is not None and not project.read_only:
            root = project.folder(ROOM)
        else:
            root = home() / ROOM
            root.mkdir(parents=True, exist_ok=True)
        target, part = root / name, root / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(segmenter_folder(source), part)
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
        return target

    def roll_back(self) -> None:
        """Go back to what was in use before."""
        told = self._remembered()
        if not told["before"]:
            raise SessionError("There is no earlier segmenter to go back to.")
        *before, last = told["before"]
        self._remember({"active": last, "before": before})

    def model(self) -> Segmenter:
        """The segmenter in use, loaded.

        Raises
        ------
        SessionError
            None is in use.
        """
        from napari_sesami.models import Segmenter

        path = self.active
        if path is None:
            raise SessionError(
                "No segmenter is in use: train one (recipe semi) and adopt it."
            )
        if self._loaded is None or self._loaded[0] != path:
            self._loaded = (path, Segmenter.load(path))
        return self._loaded[1]

    # --- what it says

    def plane(self, number: int) -> SegmentedPlane:
        """Labels and probabilities of a plane; the last one is remembered.

        Its classes are those of this project, matched by name; one that the project
        does not know yet is a mistake that the sentence explains.
        """
        model = self.model()
        at = (model.key, number)
        if self._kept is None or self._kept[0] != at:
            found = model.segment_scan(self._document.scan, number)
            self._kept = (at, self._matched(model, found))
        return self._kept[1]

    def segment(self, planes: Iterable[int] | int | None = None) -> Segmentation:
        """Label planes, as `Session.segment` does by strokes."""
        scan = self._document.scan
        if planes is None:
            planes = range(scan.n_planes)
        wanted = (planes,) if isinstance(planes, int) else tuple(planes)
        found = [self.plane(self._document.plane_number(p)) for p in wanted]
        if not found:
            raise SessionError("No plane was asked for; give at least one number.")
        return Segmentation(
            wanted,
            np.stack([f.labels for f in found]),
            np.stack([f.votes for f in found]),
            np.stack([f.novelty for f in found]),
        )

    @property
    def source(self) -> Any:
        """What gives the queue its maps: (votes, novelty) of a plane; None without."""
        return None if self.active is None else self._maps

    def _maps(
        self, plane: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        found = self.plane(plane)
        return found.votes, None  # doubt is in the votes; novelty is for tokens to say

    def _matched(self, model: Segmenter, found: SegmentedPlane) -> SegmentedPlane:
        from napari_sesami.models import SegmentedPlane

        here = {entry.name: entry.id for entry in self._document.classes}
        theirs = {i: n for i, n in model.card.classes.items() if i}
        if all(here.get(n) == i for i, n in theirs.items()):
            return found
        missing = [n for n in theirs.values() if n not in here]
        if missing:
            raise SessionError(
                f"The segmenter “{model.name}” knows classes that are not in this "
                f"project: {', '.join(missing)}; add classes of these names."
            )
        top = max(here[n] for n in theirs.values())
        table = np.zeros(256, np.uint8)
        votes = np.zeros((*found.labels.shape, top), np.float32)
        for id_, name in theirs.items():
            table[id_] = here[name]
            votes[..., here[name] - 1] = found.votes[..., id_ - 1]
        return SegmentedPlane(table[found.labels], votes, found.novelty)

    # --- memory

    def _stored(self, path: Path | None) -> str | None:
        if path is None:
            return None
        project = self._document.project
        own = project is not None and path.parent == (project.path / ROOM).absolute()
        return path.name if own else str(path)

    def _place(self, name: str) -> Path:
        if Path(name).is_absolute():
            return Path(name)
        project = self._document.project
        if project is None:
            raise SessionError("The segmenter lies in a project that is not open.")
        return inside(project.path / ROOM, name).absolute()

    def _remembered(self) -> Remembered:
        project = self._document.project
        if self._told is None or self._project is not project:
            read = None
            if project is not None:
                try:
                    read = project.read_json(ROOM, MEMORY, dict[str, Remembered])
                    for name in (read or {}).get(KEY, {}).get("before", []):
                        if name is not None:
                            self._place(name)
                except SesamiError as error:
                    self._document.events.trouble.emit(
                        f"No segmenter is in use: {error}"
                    )
            kept: Remembered = {"active": None, "before": []}
            self._told = (read or {}).get(KEY) or self._told or kept
            self._project = project
        return self._told

    def _remember(self, told: Remembered) -> None:
        self._told, self._kept = told, None
        project = self._document.project
        if project is not None and not project.read_only:
            project.write_json(ROOM, MEMORY, {KEY: dict(told)})
