"""Session: one scan at work; scripts, the command line and napari all drive this."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from napari_sesami.project import ClassEntry, Project, SizeChange
from napari_sesami.session import checks, edits
from napari_sesami.session.adapters import BASE
from napari_sesami.session.errors import SessionError
from napari_sesami.session.objects import CommittedObject, Objects, Part
from napari_sesami.session.proposal import Proposal, remember
from napari_sesami.session.queue import SessionQueue
from napari_sesami.session.runs import SessionTraining

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.scan import Scan
    from napari_sesami.session.checks import Plane


class Session(SessionQueue, SessionTraining):
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
    recovered
        How many steps (undone ones included) after the last save a journal brought
        back; `undo` and `redo` walk through them.

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
        self.model = model
        super().__init__(_as_scan(scan), project)

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
        session._owns_project = True
        return session

    # --- looking

    @property
    def labels(self) -> Any:
        """Class ids as they are now, with the scan's shape; a lazy view if large.

        Read-only; in a loop over planes `labels_plane` is faster.
        """
        return self._work.layers["labels"].array

    @property
    def strokes(self) -> Any:
        """Painted reference pixels as class ids, like `labels`."""
        return self._work.layers["strokes"].array

    @property
    def object_ids(self) -> Any:
        """Ids of committed objects per pixel, like `labels`."""
        return self._work.layers["objects"].array

    def labels_plane(self, plane: Plane = None) -> NDArray[np.uint8]:
        """Class ids of one plane (y, x); a read-only view, good until the next edit."""
        return self._read("labels", plane)

    def strokes_plane(self, plane: Plane = None) -> NDArray[np.uint8]:
        """Strokes of one plane (y, x), like `labels_plane`."""
        return self._read("strokes", plane)

    def objects_plane(self, plane: Plane = None) -> NDArray[np.uint32]:
        """Object ids of one plane (y, x), like `labels_plane`."""
        return self._read("objects", plane)

    def planes_with(self, layer: str = "strokes") -> list[int]:
        """Give the planes in which "strokes", "labels" or "objects" may be found."""
        return self._work.layers[layer].planes

    @property
    def objects(self) -> Objects:
        """The committed objects by id."""
        return Objects(self._work.objects)

    def object_at(self, y: float, x: float, plane: Plane = None) -> Any:
        """Give the `CommittedObject` under a point in data pixels, or None."""
        ids = self.objects_plane(plane)
        row, column = round(float(y)), round(float(x))
        if not (0 <= row < ids.shape[0] and 0 <= column < ids.shape[1]):
            return None
        return self.objects.get(int(ids[row, column]))

    def object_mask(
        self, object_id: int, plane: Plane = None
    ) -> tuple[BBox, NDArray[np.bool_]]:
        """Give an object's box in a plane and its mask within; by default its first."""
        target = self._object(object_id)
        number = target.plane if plane is None else self._plane(plane)
        if number not in target.parts:
            raise SessionError(f"Object {object_id} has no part in plane {number}.")
        y0, x0, y1, x1 = bbox = target.parts[number].bbox
        return bbox, self.objects_plane(number)[y0:y1, x0:x1] == target.id

    # --- editing

    def paint(
        self, strokes: ArrayLike, plane: Plane = None, *, at: Any = None
    ) -> BBox | None:
        """Add strokes to a plane.

        Parameters
        ----------
        strokes
            Array (y, x): 0 leaves a pixel as it is, k makes it a stroke of class k.
        plane
            Number of the plane; may be left out if there is but one.
        at
            Upper left pixel, if `strokes` is only a piece of the plane.

        Returns
        -------
        tuple or None
            The box that changed.
        """
        number, corner, piece = self._piece(strokes, plane, at, "strokes")
        corner, piece = checks.shrunk(corner, piece)
        ids = checks.class_ids(piece, self.classes, "strokes")
        changes = edits.paint_strokes(
            self._work, number, corner, ids, overlap=self.overlap
        )
        return self._do("paint", changes)

    def erase(
        self, where: ArrayLike, plane: Plane = None, *, at: Any = None
    ) -> BBox | None:
        """Take strokes away where the array (y, x) is not zero."""
        number, corner, piece = self._piece(where, plane, at, "pixels to erase")
        corner, piece = checks.shrunk(corner, piece)
        changes = edits.erase_strokes(self._work, number, corner, piece != 0)
        return self._do("erase", changes)

    def write_strokes(
        self, strokes: ArrayLike, plane: Plane = None, *, at: Any = None
    ) -> BBox | None:
        """Set the strokes of a plane, or of a piece of it; 0 clears."""
        number, corner, ids = self._ids(strokes, plane, at, "strokes")
        changes = edits.write_strokes(self._work, number, corner, ids)
        return self._do("paint" if ids.any() else "erase", changes)

    def write_labels(
        self, labels: ArrayLike, plane: Plane = None, *, at: Any = None
    ) -> BBox | None:
        """Set the labels of a plane, or of a piece of it, by hand; 0 clears."""
        number, corner, ids = self._ids(labels, plane, at, "labels")
        return self._do("labels", edits.write_labels(self._work, number, corner, ids))

    def commit(
        self,
        mask: Any,
        class_: str | SupportsIndex,
        plane: Plane = None,
        *,
        overlap: str = "overwrite",
        instance: bool = True,
        object_id: int | None = None,
        prompts: dict[str, Any] | None = None,
    ) -> CommittedObject:
        """Make a mask an object of a class.

        Parameters
        ----------
        mask
            What `prompt` returned, or a bool array (y, x) of the plane.
        class_
            Id, name or entry.
        plane
            Number of the plane; what `prompt` returned knows its own.
        overlap
            "overwrite" takes every pixel; "keep" leaves other objects theirs; "free"
            takes only pixels without any label.
        instance
            False for a material, of which there is just some.
        object_id
            Commit under the id of an object that exists: its part in this plane is
            replaced, or begun.
        prompts
            What the mask was made from; what `prompt` returned knows its own.
        """
        entry = self.classes[class_]
        if overlap not in edits.OVERLAPS:
            raise SessionError(
                f"overlap is one of {', '.join(edits.OVERLAPS)}; {overlap!r} was given."
            )
        number = self._plane(getattr(mask, "plane", None) if plane is None else plane)
        box, crop = checks.mask_crop(mask, self.scan)
        target = self._target(object_id, entry, instance)
        known = (
            getattr(mask, "prompts", None) if prompts is None else remember(**prompts)
        )
        score = checks.finite(getattr(mask, "score", None))
        part = Part(box, score, overlap, known or None)
        changes = edits.commit(self._work, number, box, crop, target, part)
        self._do(f"commit {entry.name}", changes)
        return self.objects[target.id]

    def remove_object(self, object_id: int) -> None:
        """Take a committed object and its pixels away."""
        target = self._object(object_id)
        self._do("remove object", edits.remove_object(self._work, target))

    def set_pixel_size(self, size: Any, unit: Any) -> None:
        """Give the pixel size by hand, as in `Scan.with_pixel_size`; undoable."""
        sized = self.scan.with_pixel_size(size, unit)
        before = (tuple(self.scan.pixel_size), tuple(self.scan.units))
        after = (tuple(sized.pixel_size), tuple(sized.units))
        if before != after:
            self._do("pixel size", [SizeChange(before, after)])

    # --- asking a model

    @property
    def model(self) -> Any:
        """The prompt model, by name, path or itself; None is the bundled one."""
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._model = model
        self._predictor: Any = None

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
    ) -> Proposal:
        """Ask the model for the mask that prompts mean; nothing is changed yet.

        Parameters
        ----------
        points, labels
            Clicks (y, x) in data pixels; 1 means "in", 0 means "not this".
        box
            (y0, x0, y1, x1) around the object.
        strokes
            Strokes meant for the object.
        mask
            A mask to start from, such as an earlier answer.
        plane
            Number of the plane; an earlier answer in `mask` knows its own.
        lasso
            Corners (y, x) of a line drawn around the object.
        """
        if all(p is None for p in (points, box, strokes, mask, lasso)):
            raise SessionError(
                "There is no prompt: give points, a box, strokes, a lasso or a mask."
            )
        number = self._plane(getattr(mask, "plane", None) if plane is None else plane)
        asked = {"points": points, "labels": labels, "box": box, "strokes": strokes}
        asked["lasso"] = lasso
        earlier = mask.source if isinstance(mask, Proposal) else mask
        answer = self.predictor.predict(self.scan, number, **asked, mask=earlier)
        y0, x0, y1, x1 = (int(v) for v in answer.bbox)
        return Proposal(
            (y0, x0, y1, x1),
            np.asarray(answer.mask, bool),
            float(answer.score),
            self.scan.plane_shape,
            number,
            remember(**asked, mask=mask),
            answer,
        )

    @property
    def predictor(self) -> Any:
        """The model's `prompt.Predictor` with its embeddings, made on first use."""
        if self._predictor is None:
            from napari_sesami.models import load_prompt_model
            from napari_sesami.prompt import EmbeddingStore, Predictor

            model = self._model
            if model is None or isinstance(model, str | Path):
                model = load_prompt_model(model or BASE)
            store = EmbeddingStore.in_user_folder()
            self._predictor = Predictor(self._dressed(model), store)
        return self._predictor

    @predictor.setter
    def predictor(self, predictor: Any) -> None:
        self._model, self._predictor = predictor.model, predictor
        self._dressed(predictor.model)

    # --- inside

    def _plane(self, plane: Plane) -> int:
        return checks.plane_number(self.scan, plane)

    def _read(self, layer: str, plane: Plane) -> NDArray[Any]:
        return self._work.layers[layer].read(self._plane(plane))

    def _piece(
        self, values: Any, plane: Plane, at: Any, what: str
    ) -> tuple[int, tuple[int, int], NDArray[Any]]:
        """Check a whole plane, or with `at` a piece of it."""
        number = self._plane(plane)
        array = np.asarray(values)
        if at is None:
            checks.same_shape(array, self.scan.plane_shape, what)
            return number, (0, 0), array
        corner = (int(at[0]), int(at[1]))
        checks.inside(corner, array.shape, self.scan)
        return number, corner, array

    def _ids(
        self, values: Any, plane: Plane, at: Any, what: str
    ) -> tuple[int, tuple[int, int], NDArray[np.uint8]]:
        number, corner, array = self._piece(values, plane, at, what)
        return number, corner, checks.class_ids(array, self.classes, what)

    def _object(self, object_id: int) -> CommittedObject:
        if object_id not in self.objects:
            raise SessionError(
                f"There is no object {object_id}; there are {len(self.objects)}, see "
                "session.objects."
            )
        return self.objects[object_id]

    def _target(
        self, object_id: int | None, entry: ClassEntry, instance: bool
    ) -> CommittedObject:
        """Give the object to commit to: a new one, or one that exists."""
        order = 1 + max((o.order for o in self.objects.values()), default=0)
        if object_id is None:
            id_ = self._work.last_object + 1
            return CommittedObject(id_, entry.id, instance, order)
        old = self._object(object_id)
        return replace(old, class_id=entry.id, instance=instance, order=order)


def _as_scan(scan: Any) -> Scan:
    from napari_sesami.scan import Scan, open_scan

    if isinstance(scan, Scan):
        return scan
    if isinstance(scan, str | Path):
        return open_scan(scan)
    return Scan.from_array(scan)
