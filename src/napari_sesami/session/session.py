"""Session: one scan at work, made of parts; scripts, docks and commands drive these."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

from napari_sesami.project import Project, SizeChange
from napari_sesami.session.adapters import Adapters
from napari_sesami.session.document import Document
from napari_sesami.session.labels import Labels
from napari_sesami.session.objects import Objects
from napari_sesami.session.prompts import Prompts
from napari_sesami.session.queue import Queue
from napari_sesami.session.retrieval import Retrieval
from napari_sesami.session.runs import SessionRuns
from napari_sesami.session.strokes import Strokes
from napari_sesami.session.superpixels import Superpixels

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.project import ClassTable
    from napari_sesami.prompt import Mask
    from napari_sesami.scan import Scan
    from napari_sesami.session.checks import Plane
    from napari_sesami.session.committed import CommittedObject
    from napari_sesami.session.events import SessionEvents
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
    retrieval
        Labels of every plane from a few strokes.
    runs
        Training, and what it gave.
    history
        Undo and redo.
    document
        What all parts edit, as it lies in the project.

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
        self.label_planes = Labels(document)
        self.objects = Objects(document)
        self.adapters = Adapters(document)
        self.prompts = Prompts(document, self.adapters)
        self.runs = SessionRuns(document, self.adapters)
        self.retrieval = Retrieval(
            document,
            self.strokes,
            self.label_planes,
            self.prompts,
            Superpixels(document, self.label_planes),
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
        except ValueError:
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
                self.label_planes,
                self.objects,
                self.prompts,
                self.retrieval,
            )
        return self._queue

    @property
    def scan(self) -> Scan:
        """The scan, with the pixel size that the user gave it."""
        return self.document.scan

    @property
    def project(self) -> Project | None:
        """The project that keeps the work, if there is one."""
        return self.document.project

    @property
    def events(self) -> SessionEvents:
        """What listeners are told."""
        return self.document.events

    @property
    def classes(self) -> ClassTable:
        """The class table: ``add``, ``rename``, ``recolor``, ``remove``, undoable."""
        return self.document.classes

    @property
    def labels(self) -> Any:
        """Class ids as they are now, with the scan's shape; a lazy view if large.

        Read-only; in a loop over planes `label_planes.plane` is faster.
        """
        return self.label_planes.array

    def set_pixel_size(self, size: Any, unit: Any) -> None:
        """Give the pixel size by hand, as in `Scan.with_pixel_size`; undoable."""
        sized = self.scan.with_pixel_size(size, unit)
        before = (tuple(self.scan.pixel_size), tuple(self.scan.units))
        after = (tuple(sized.pixel_size), tuple(sized.units))
        if before != after:
            self.document.do("pixel size", [SizeChange(before, after)])

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

    def redo(self) -> str | None:
        """Do the step undone last again and give its name; None if there is none."""
        return self.history.redo()

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

    # --- names that the parts have by now; they go once nothing calls them

    def labels_plane(self, *given: Any, **options: Any) -> Any:
        """See `label_planes.plane`."""
        return self.label_planes.plane(*given, **options)

    def strokes_plane(self, *given: Any, **options: Any) -> Any:
        """See `strokes.plane`."""
        return self.strokes.plane(*given, **options)

    def objects_plane(self, *given: Any, **options: Any) -> Any:
        """See `objects.plane`."""
        return self.objects.plane(*given, **options)

    def object_at(self, *given: Any, **options: Any) -> Any:
        """See `objects.at`."""
        return self.objects.at(*given, **options)

    def remove_object(self, *given: Any, **options: Any) -> Any:
        """See `objects.remove`."""
        return self.objects.remove(*given, **options)

    def erase(self, *given: Any, **options: Any) -> Any:
        """See `strokes.erase`."""
        return self.strokes.erase(*given, **options)

    def write_strokes(self, *given: Any, **options: Any) -> Any:
        """See `strokes.write`."""
        return self.strokes.write(*given, **options)

    def write_labels(self, *given: Any, **options: Any) -> Any:
        """See `label_planes.write`."""
        return self.label_planes.write(*given, **options)

    def score_maps(self, *given: Any, **options: Any) -> Any:
        """See `queue.score_maps`."""
        return self.queue.score_maps(*given, **options)

    def preview(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.preview`."""
        return self.retrieval.preview(*given, **options)

    def clean(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.clean`."""
        return self.retrieval.clean(*given, **options)

    def accept(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.accept`."""
        return self.retrieval.accept(*given, **options)

    def accept_plane(self, *given: Any, **options: Any) -> Any:
        """See `label_planes.accept`."""
        return self.label_planes.accept(*given, **options)

    def save_overlapping(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.save_overlapping`."""
        return self.retrieval.save_overlapping(*given, **options)

    def teach(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.teach`."""
        return self.retrieval.teach(*given, **options)

    def export_bank(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.export_bank`."""
        return self.retrieval.export_bank(*given, **options)

    def combine_banks(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.combine_banks`."""
        return self.retrieval.combine_banks(*given, **options)

    def retriever(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.retriever`."""
        return self.retrieval.retriever(*given, **options)

    def best_zoom(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.best_zoom`."""
        return self.retrieval.best_zoom(*given, **options)

    def tokens(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.tokens`."""
        return self.retrieval.tokens(*given, **options)

    def token_store(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.token_store`."""
        return self.retrieval.token_store(*given, **options)

    def stroke_pixels(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.stroke_pixels`."""
        return self.retrieval.stroke_pixels(*given, **options)

    def superpixels(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.superpixels.cut`."""
        return self.retrieval.superpixels.cut(*given, **options)

    def assign_superpixel(self, *given: Any, **options: Any) -> Any:
        """See `retrieval.superpixels.assign`."""
        return self.retrieval.superpixels.assign(*given, **options)

    def estimate_training(self, *given: Any, **options: Any) -> Any:
        """See `runs.estimate`."""
        return self.runs.estimate(*given, **options)

    def run_config(self, *given: Any, **options: Any) -> Any:
        """See `runs.config`."""
        return self.runs.config(*given, **options)

    def training_set(self, *given: Any, **options: Any) -> Any:
        """See `runs.training_set`."""
        return self.runs.training_set(*given, **options)

    def judge(self, *given: Any, **options: Any) -> Any:
        """See `runs.judge`."""
        return self.runs.judge(*given, **options)

    def adopt(self, *given: Any, **options: Any) -> Any:
        """See `runs.adopt`."""
        return self.runs.adopt(*given, **options)

    def uses(self, *given: Any, **options: Any) -> Any:
        """See `runs.uses`."""
        return self.runs.uses(*given, **options)

    def use_adapter(self, *given: Any, **options: Any) -> Any:
        """See `adapters.use`."""
        return self.adapters.use(*given, **options)

    def roll_back(self, *given: Any, **options: Any) -> Any:
        """See `adapters.roll_back`."""
        return self.adapters.roll_back(*given, **options)

    def group(self, *given: Any, **options: Any) -> Any:
        """See `history.group`."""
        return self.history.group(*given, **options)

    def tick(self, *given: Any, **options: Any) -> Any:
        """See `document.tick`."""
        return self.document.tick(*given, **options)

    @property
    def object_ids(self) -> Any:
        """See `objects.ids`."""
        return self.objects.ids

    @property
    def adapter(self) -> Any:
        """See `adapters.active`."""
        return self.adapters.active

    @property
    def adapter_name(self) -> Any:
        """See `adapters.active_name`."""
        return self.adapters.active_name

    @property
    def can_roll_back(self) -> Any:
        """See `adapters.can_roll_back`."""
        return self.adapters.can_roll_back

    @property
    def model_name(self) -> Any:
        """See `adapters.model_name`."""
        return self.adapters.model_name

    @property
    def can_undo(self) -> Any:
        """See `history.can_undo`."""
        return self.history.can_undo

    @property
    def can_redo(self) -> Any:
        """See `history.can_redo`."""
        return self.history.can_redo

    @property
    def dirty(self) -> Any:
        """See `document.dirty`."""
        return self.document.dirty

    @property
    def recovered(self) -> Any:
        """See `document.recovered`."""
        return self.document.recovered

    @property
    def model(self) -> Any:
        """See `prompts.model`."""
        return self.prompts.model

    @model.setter
    def model(self, value: Any) -> None:
        self.prompts.model = value

    @property
    def predictor(self) -> Any:
        """See `prompts.predictor`."""
        return self.prompts.predictor

    @predictor.setter
    def predictor(self, value: Any) -> None:
        self.prompts.predictor = value

    @property
    def token_encoder(self) -> Any:
        """See `retrieval.encoder`."""
        return self.retrieval.encoder

    @token_encoder.setter
    def token_encoder(self, value: Any) -> None:
        self.retrieval.encoder = value

    @property
    def overlap(self) -> Any:
        """See `strokes.overlap`."""
        return self.strokes.overlap

    @overlap.setter
    def overlap(self, value: Any) -> None:
        self.strokes.overlap = value

    def planes_with(self, layer: str = "strokes") -> list[int]:
        """Give the planes in which "strokes", "labels" or "objects" may be found."""
        return self.document.work.layers[layer].planes

    def object_mask(
        self, object_id: int, plane: Plane = None
    ) -> tuple[BBox, NDArray[Any]]:
        """See `objects.mask`."""
        found = self.objects.mask(object_id, plane)
        return found.bbox, found.mask


def _as_scan(scan: Any) -> Scan:
    from napari_sesami.scan import Scan, open_scan

    if isinstance(scan, Scan):
        return scan
    if isinstance(scan, str | Path):
        return open_scan(scan)
    return Scan.from_array(scan)
