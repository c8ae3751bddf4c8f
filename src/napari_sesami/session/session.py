"""Session: one scan at work, made of parts; scripts, docks and commands drive these."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

from napari_sesami.project import Project
from napari_sesami.session.adapters import Adapters
from napari_sesami.session.document import Document
from napari_sesami.session.measurements import Measurements
from napari_sesami.session.noise import ScanNoise
from napari_sesami.session.objects import Objects
from napari_sesami.session.prompts import Prompts
from napari_sesami.session.queue import Queue
from napari_sesami.session.retrieval import Retrieval
from napari_sesami.session.runs import SessionRuns
from napari_sesami.session.segmenters import Segmenters
from napari_sesami.session.strokes import Strokes
from napari_sesami.session.superpixels import Superpixels

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from napari_sesami.common.box import BBox
    from napari_sesami.project import ClassTable
    from napari_sesami.prompt import Mask
    from napari_sesami.scan import Scan
    from napari_sesami.session.checks import Plane
    from napari_sesami.session.committed import CommittedObject
    from napari_sesami.session.history import History
    from napari_sesami.session.segmentation import Segmentation
    from napari_sesami.suggest import Query
    from napari_sesami.train import Run


class Session:
    """One scan with its classes, strokes, labels and objects; all of it undoable.

    Parameters
    ----------
    scan
        A `Scan`, a path to open, or an array.
    project
        A folder ``*.sesami`` (made if it is not there) or an open `Project`, where
        every edit is journaled at once and `save` writes everything. None keeps the
        work in memory until ``save(path)``.
    model
        The prompt model: a name or path for `models.load_prompt_model`, or a model.

    Attributes
    ----------
    strokes
        Painted reference pixels; read like an array of class ids.
    objects
        Committed objects by id.
    prompts
        The prompt model, and the one way to ask it for a mask.
    adapters
        What the prompt model learnt, switched and rolled back.
    segmenters
        The segmenter that a run gave and that was adopted, and what it says.
    retrieval
        Labels of every plane from a few strokes.
    measurements
        Dimensions with error bars: the recipe, and what it gives on the labels.
    noise
        Noise like the instrument's, for training.
    runs
        Training, and what it gave.
    history
        Undo and redo.
    document
        What all parts edit, as it lies in the project: its labels plane by plane,
        events, pixel size.

    Examples
    --------
    >>> import numpy as np
    >>> s = Session(np.zeros((64, 64), np.uint8))
    >>> oxide = s.classes.add("oxide")
    >>> s.commit(np.eye(64, dtype=bool), "oxide").bbox
    (0, 0, 64, 64)
    >>> int(s.labels.sum()), s.undo(), int(s.labels.sum())
    (64, 'commit oxide', 0)
    """

    def __init__(
        self,
        scan: Scan | str | Path | ArrayLike,
        project: Project | str | Path | None = None,
        *,
        model: Any = None,
    ) -> None:
        self.document = document = Document(_as_scan(scan), project)
        self.history: History = document.history
        self.strokes = Strokes(document)
        self.objects = Objects(document)
        self.adapters = Adapters(document)
        self.prompts = Prompts(document, self.adapters)
        self.measurements = Measurements(document)
        self.segmenters = Segmenters(document)
        self.noise = ScanNoise(document)
        self.runs = SessionRuns(document, self.adapters, self.segmenters, self.noise)
        self.retrieval = Retrieval(
            document,
            self.strokes,
            document.labels,
            self.prompts,
            Superpixels(document, document.labels),
        )
        self._queue: Queue | None = None
        self.prompts.model = model

    @classmethod
    def open(
        cls, project: Project | str | Path, scan: str | int = 0, *, locate: Any = None
    ) -> Session:
        """Go on with a scan of a project, found by name, key or position.

        Raises
        ------
        ScanMoved
            Its file is not where it was: ask, and give ``locate={key: new path}``.
        """
        if isinstance(project, Project):
            return cls(project.open_scan(scan, locate=locate), project)
        home = Project.open(project)
        try:
            session = cls(home.open_scan(scan, locate=locate), home)
        except BaseException:
            if not home.in_use:
                home.close()
            raise
        session.document.owns_project = True
        return session

    @property
    def queue(self) -> Queue:
        """Queries that are worth an answer, kept with the project."""
        if self._queue is None:
            self._queue = Queue(
                self.document,
                self.strokes,
                self.document.labels,
                self.objects,
                self.prompts,
                self.retrieval,
                lambda: self.segmenters.source,
            )
        return self._queue

    @property
    def scan(self) -> Scan:
        """The scan, with the pixel size that the user gave it."""
        return self.document.scan

    @property
    def classes(self) -> ClassTable:
        """The class table: ``add``, ``rename``, ``recolor``, ``remove``, undoable."""
        return self.document.classes

    @property
    def labels(self) -> Any:
        """Class ids as they are now, with the scan's shape; a lazy view if large.

        Read-only; in a loop over planes `document.labels.plane` is faster.
        """
        return self.document.labels.array

    # --- the script in short; each line is the method of a part

    def prompt(
        self,
        points: Any = None,
        labels: Any = None,
        box: Any = None,
        strokes: Any = None,
        mask: Any = None,
        plane: Plane = None,
        *,
        lasso: Any = None,
    ) -> Mask:
        """Ask the model for the mask that prompts mean; see `Prompts.ask`."""
        return self.prompts.ask(points, labels, box, strokes, mask, plane, lasso=lasso)

    def commit(
        self,
        mask: Any,
        class_: str | SupportsIndex,
        plane: Plane = None,
        **options: Any,
    ) -> CommittedObject:
        """Make a mask an object of a class; see `Objects.commit`."""
        return self.objects.commit(mask, class_, plane, **options)

    def paint(
        self, strokes: ArrayLike, plane: Plane = None, *, at: Any = None
    ) -> BBox | None:
        """Add strokes to a plane; see `Strokes.paint`."""
        return self.strokes.paint(strokes, plane, at=at)

    def segment(self, planes: Any = None, **options: Any) -> Segmentation:
        """Label planes by what is painted anywhere; see `Retrieval.segment`."""
        return self.retrieval.segment(planes, **options)

    def suggest(self, n: int = 10, planes: Any = None, **options: Any) -> list[Query]:
        """Rank the places where a label would teach most; see `Queue.suggest`."""
        return self.queue.suggest(n, planes, **options)

    def train(self, recipe: str = "sesami", **options: Any) -> Run:
        """Start a run on everything that is labelled; see `SessionRuns.start`."""
        return self.runs.start(recipe, **options)

    def undo(self) -> str | None:
        """Take the last step back and give its name; None if there is none."""
        return self.history.undo()

    def save(self, path: str | Path | None = None) -> None:
        """Write everything into the project, or into a new one at `path`."""
        self.document.save(path)

    def close(self) -> None:
        """Let go of the project. Unsaved steps come back at the next opening."""
        self.document.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _as_scan(scan: Any) -> Scan:
    from napari_sesami.scan import Scan, open_scan

    if isinstance(scan, Scan):
        return scan
    if isinstance(scan, str | Path):
        return open_scan(scan)
    return Scan.from_array(scan)
