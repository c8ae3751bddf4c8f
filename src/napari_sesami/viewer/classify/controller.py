"""The lot at work: labels, answers, what the gallery shows and in which order."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_sesami.common.errors import SesamiError
from napari_sesami.project import default_color
from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.jobs import Debounced, JobQueue, Priority
from napari_sesami.viewer.classify.jobs import answering, explaining, reading, tuning
from napari_sesami.viewer.classify.thumbnails import DefectThumbnails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sesami.classify import (
        Classifier,
        ConfusionMatrix,
        Decisions,
        DefectPlaces,
        Lot,
        LotDrift,
        LotFeatures,
    )
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.classify.jobs import SortedLot

READ, ANSWER, WHY, TUNE = (
    "defects-read", "defects-answer", "defects-why", "defects-tune",
)  # fmt: skip
ORDERS = (
    ("File order", "file"),
    ("Class", "class"),
    ("Least sure first", "confidence"),
    ("Most novel first", "novelty"),
    ("Like the picked one", "likeness"),
)
SHOWS = (
    ("All", "all"),
    ("Unknown", "unknown"),
    ("Decided by machine", "machine"),
    ("Labelled", "labelled"),
    ("Review queue", "queue"),
    ("Suspect labels", "suspects"),
    ("Twins that differ", "twins"),
)
ENCODER = "sesami-nano"
QUEUE = 100
PURITY = 0.9


class ClassifyController(Controller):
    """What the "Defect classes" panel drives; it outlives the panel.

    Attributes
    ----------
    classifier
        Labels and heads of the lot, or None before one is opened.
    decisions, matrix, drift
        The last answer, or None; and how much of each lot is unlike all labels.
    shown
        Positions of the defects in the gallery, in order.
    what, order
        Which they are (see `SHOWS`, or a class's name after "class:"), and how sorted.
    picked
        Positions that are selected in the gallery.
    control, saved
        Of the review queue: who is in it for control, and how many need no look.
    places
        Position of a defect, and where it is unlike its surroundings, or None.
    thumbnails
        Small pictures.
    encoder
        Name of the frozen encoder that the next lot is read with.
    tuning
        A thread of its own, which waits for a run that fine-tunes.
    """

    changed = Signal()
    """the lot, labels, answers or what is shown"""
    explained = Signal()
    """other places are shown"""
    listed = Signal()
    """other defects are shown, or in another order"""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.classifier: Classifier | None = None
        self.decisions: Decisions | None = None
        self.matrix: ConfusionMatrix | None = None
        self.drift: tuple[LotDrift, ...] = ()
        self.encoder = ENCODER
        self.tuning = JobQueue("sesami-tuning")
        self.tuning.progressed.connect(self._tuned_so_far)
        self.purity = PURITY
        self.shown: list[int] = []
        self.what, self.order, self.title = "all", "file", ""
        self.picked: list[int] = []
        self.thumbnails = DefectThumbnails()
        self._cell: list[int] = []
        self.control: frozenset[str] = frozenset()
        self.saved = 0
        self.places: tuple[int, list[DefectPlaces]] | None = None
        self._soon = Debounced(self._ask, 30)

    def close(self) -> None:
        """End the threads."""
        self._soon.stop()
        self.tuning.close()
        self.thumbnails.close()

    # --- the lot

    @property
    def lot(self) -> Lot:
        """The lot at work, or a sentence."""
        return self.sorting.lot

    @property
    def sorting(self) -> Classifier:
        """The classifier at work, or a sentence."""
        if self.classifier is None:
            raise ViewerError(
                "No lot is open: choose a KLARF, a table or a folder of pictures."
            )
        return self.classifier

    @property
    def ready(self) -> bool:
        """Whether the pictures of the lot have been read."""
        return self.classifier is not None and self.classifier.is_prepared

    def open_lot(self, path: str | Path, **options: Any) -> None:
        """Open a lot; labels are kept beside it, or in memory on a read-only disk."""
        from napari_sesami.classify import open_lot

        lot = open_lot(path)
        self._sort(lot, Path(path).with_name(f"{Path(path).name}.labels"), options)

    def open_objects(self, **options: Any) -> None:
        """Take the committed objects of the scan for a lot; their classes are labels.

        High is cut as it is around each object, low 3.5 times wider.
        """
        from napari_sesami.classify import Lot

        session = self.session
        if session is None:
            raise ViewerError(self.needs_scan)
        found = [
            (part.bbox, str(session.classes[each.class_id].name), plane)
            for each in session.objects.values()
            if each.instance
            for plane, part in each.parts.items()
        ]
        if not found:
            raise ViewerError(
                "No object of this scan is committed; click some on the page Click, or "
                "open a lot."
            )
        lots = []
        for plane in sorted({plane for *_, plane in found}):
            boxes = [box for box, _, own in found if own == plane]
            names = [name for _, name, own in found if own == plane]
            lots.append(Lot.from_boxes(session.scan, boxes, names, plane))
        lot = Lot.joined(lots)
        kept = None
        if session.document.project is not None:
            path = Path(session.document.project.path)
            kept = path.with_name(f"{path.name}.defects") / session.scan.name
        self._sort(lot, kept, options)

    def _sort(self, lot: Lot, folder: Path | None, options: dict[str, Any]) -> None:
        """Sort a lot; labels are kept in a folder, or in memory where none can be."""
        options = {"encoder": self.encoder, **options}
        wanted = folder
        try:
            classifier = lot.classifier(folder, **options)
        except OSError:
            classifier, folder = lot.classifier(**options), None
        self.take(classifier)
        words = [f"{len(lot)} defects of {lot.name}", *lot.problems]
        if folder is None and wanted is not None:
            words.append("Labels cannot be kept beside it; save a model to keep them")
        elif folder is None:
            words.append("Labels are kept in memory: save a project to keep them")
        self.workspace.say(". ".join(words) + ".")

    def take(self, classifier: Classifier) -> None:
        """Work on the lot of a classifier."""
        self.classifier = classifier
        self.decisions, self.matrix, self.picked = None, None, []
        self.drift = ()
        self.encoder = classifier.encoder_name
        self.what, self.order = "all", "file"
        self.thumbnails.follow(classifier.lot)
        self.list_again()
        self._begin()

    def _begin(self) -> None:
        """Read the pictures, where they were not."""
        classifier = self.sorting
        if classifier.is_prepared:
            self._ask()
        else:
            self.workspace.jobs.submit(
                READ, partial(reading, classifier), partial(self._read, classifier),
                priority=Priority.BACKGROUND, restartable=True,
            )  # fmt: skip

    def use_encoder(self, name: str) -> None:
        """Read the lot with another encoder; labels stay."""
        self.encoder = name
        if self.classifier is not None and name != self.classifier.encoder_name:
            self.decisions, self.matrix, self.drift = None, None, ()
            self.classifier.use_encoder(name)
            self._begin()
        self.changed.emit()

    @property
    def is_tuning(self) -> bool:
        """Whether a run is fine-tuning the encoder."""
        return self.tuning.busy

    def tune_or_stop(self) -> None:
        """Fine-tune the encoder on the labels in the background, or stop that."""
        if self.is_tuning:
            self.tuning.cancel()
            self.workspace.say("Fine-tuning is stopped; the encoder stays as it is.")
        else:
            classifier = self.sorting
            if not classifier.is_prepared:
                raise ViewerError("The pictures are being read; wait for that first.")
            self.tuning.submit(
                TUNE, partial(tuning, classifier), partial(self._tuned, classifier),
                self._not_tuned,
            )  # fmt: skip
        self.changed.emit()

    def _tuned_so_far(self, topic: str, fraction: float, text: str) -> None:
        self.workspace.say(text)

    def _tuned(self, classifier: Classifier, run: Any) -> None:
        try:
            told = classifier.adopt(run)
        except SesamiError as error:
            told = f"{error} {run.status.sentence}"
        self.workspace.say(told)
        if classifier is self.classifier and not classifier.is_prepared:
            self.encoder = classifier.encoder_name
            self.decisions, self.matrix, self.drift = None, None, ()
            self._begin()
        self.changed.emit()

    def _not_tuned(self, sentence: str) -> None:
        self.workspace.say(sentence)
        self.changed.emit()

    def _read(self, classifier: Classifier, features: LotFeatures) -> None:
        if classifier is self.classifier:
            classifier.use(features)
            if features.broken:
                n = len(features.broken)
                self.workspace.say(
                    f"{n} defects have pictures that cannot be read; they are marked."
                )
            self._ask()

    # --- answers

    def set_purity(self, purity: float) -> None:
        """Wish another purity; the shares follow."""
        self.purity = min(max(purity, 0.5), 0.999)
        self._soon.soon()

    def _ask(self) -> None:
        if not self.ready:
            self.changed.emit()
            return
        self.workspace.jobs.submit(
            ANSWER, partial(answering, self.sorting, self.purity), self._answered,
            priority=Priority.STROKE,
        )  # fmt: skip

    def _answered(self, found: SortedLot) -> None:
        self.decisions, self.matrix = found.decisions, found.matrix
        self.drift = found.drift
        self.changed.emit()

    # --- labels

    def label(self, name: str | None, by: str = "person") -> None:
        """Call the picked defects by a class; None takes their labels away."""
        if not self.picked:
            raise ViewerError("Pick defects in the gallery first.")
        defects = self.lot.defects
        self.sorting.label([defects[k].id for k in self.picked], name, by)
        self._soon.soon()
        self.changed.emit()

    def label_number(self, number: int) -> None:
        """Call the picked defects by the class of a key; 0 takes labels away."""
        if number == 0:
            self.label(None)
            return
        classes = self.sorting.classes
        if number > len(classes):
            raise ViewerError(
                f"There is no class {number} yet: name it with New class."
            )
        self.label(classes[number - 1].name)

    def accept(self) -> None:
        """Call the picked defects what the machine suggests."""
        if self.decisions is None:
            raise ViewerError("There is no suggestion yet: label two classes.")
        defects = self.lot.defects
        by_class: dict[str, list[str]] = {}
        for k in self.picked:
            name = self.decisions.suggested[k]
            if name is not None:
                by_class.setdefault(name, []).append(defects[k].id)
        for name, ids in by_class.items():
            self.sorting.label(ids, name)
        self._soon.soon()
        self.changed.emit()

    def new_class(self, name: str) -> None:
        """Put a class into the book; its key is its place there."""
        self.sorting.define(name)
        self.changed.emit()

    def rename(self, old: str, new: str) -> None:
        """Rename a class; an existing name merges the two."""
        if new in {c.name for c in self.sorting.classes}:
            self.sorting.merge([old], new)
        else:
            self.sorting.rename(old, new)
        self._soon.soon()
        self.changed.emit()

    def define(
        self, name: str, number: int | None = None, definition: str = ""
    ) -> None:
        """Change number and definition of a class."""
        self.sorting.define(name, number, definition)
        self.changed.emit()

    def split(self, into: str) -> None:
        """Make the picked defects a class of their own, out of the one they are of."""
        labels, defects = self.sorting.labels, self.lot.defects
        ids = [defects[k].id for k in self.picked]
        names = {labels[i][0] for i in ids if i in labels}
        if len(names) != 1:
            raise ViewerError(
                "To split a class, pick those of its labelled defects that are to be "
                "the new one."
            )
        (name,) = names
        moved = self.sorting.split(name, into, ids)
        self.workspace.say(f"{len(moved)} defects of {name} are {into} now.")
        self._soon.soon()
        self.changed.emit()

    def undo(self) -> None:
        """Take back the last change of labels or classes."""
        words = self.sorting.undo()
        self.workspace.say(f"Taken back: {words}." if words else "Nothing to undo.")
        self._soon.soon()
        self.changed.emit()

    def redo(self) -> None:
        """Do again what was taken back."""
        words = self.sorting.redo()
        self.workspace.say(f"Done again: {words}." if words else "Nothing to redo.")
        self._soon.soon()
        self.changed.emit()

    def color_of(self, name: str | None) -> str:
        """Give the colour of a class; grey for unknown."""
        names = [c.name for c in self.sorting.classes]
        return default_color(names.index(name)) if name in names else "#808080"

    # --- what is shown

    def show(self, what: str, title: str = "") -> None:
        """Fill the gallery: a key of `SHOWS`, or "class:NAME"."""
        self.what, self.title = what, title
        self.list_again()

    def show_cell(self, truth: int, said: int) -> None:
        """Fill the gallery with a cell of the confusion matrix."""
        if self.matrix is None:
            return
        names = [*self.matrix.names, "unknown"]
        self._cell = [self.lot.position(i) for i in self.matrix.cell(truth, said)]
        self.show("cell", f"{names[truth]} called {names[said]}")

    def sort(self, order: str) -> None:
        """Sort the gallery: a key of `ORDERS`."""
        if order == "likeness" and not self.picked:
            raise ViewerError("Pick one defect first: the others are sorted by it.")
        self.order = order
        self.list_again()

    def list_again(self) -> None:
        """Look again at who belongs into the gallery; labels do not move it alone."""
        if self.classifier is None:
            self.shown = []
        else:
            self.shown = self._sorted(self._members())
        self.listed.emit()
        self.changed.emit()

    def _members(self) -> list[int]:
        """Positions of what is to be shown, in an order of its own."""
        from napari_sesami.classify import contradictions, review_queue, suspects

        sorting, what, n = self.sorting, self.what, len(self.lot)
        if what == "all":
            return list(range(n))
        if what == "cell":
            return list(self._cell)
        at = self.lot.positions
        if what == "labelled":
            return sorted(at[name] for name in sorting.labels)
        if self.decisions is None:
            raise ViewerError("There is no answer yet: label two classes, and wait.")
        d = self.decisions
        if what == "unknown":
            return [k for k in range(n) if d.classes[k] is None]
        if what == "machine":
            return [k for k in range(n) if d.by[k] == "machine"]
        if what.startswith("class:"):
            return [k for k in range(n) if d.classes[k] == what[6:]]
        if what == "queue":
            queue = review_queue(sorting, d, QUEUE)
            self.control, self.saved = queue.control, queue.saved
            return [at[name] for name in queue.ids]
        if what == "suspects":
            return [at[s.id] for s in suspects(sorting)]
        if what == "twins":
            return [at[name] for pair in contradictions(sorting) for name in pair]
        return []

    def _sorted(self, members: list[int]) -> list[int]:
        if self.order == "file":
            return members
        d = self.decisions
        if self.order == "likeness" and self.ready and self.picked:
            places = self.sorting.places
            away = np.linalg.norm(places - places[self.picked[0]], axis=1)
            away = np.nan_to_num(away, nan=np.inf)
            return sorted(members, key=lambda k: (float(away[k]), k))
        if d is None:
            return members
        if self.order == "class":
            return sorted(members, key=lambda k: (d.classes[k] or "~", k))
        if self.order == "confidence":
            return sorted(members, key=lambda k: (float(d.confidence[k]), k))
        return sorted(members, key=lambda k: (-float(d.novelty[k]), k))

    def pick(self, positions: Sequence[int]) -> None:
        """Select defects, as the gallery does."""
        self.picked = list(positions)

    def explain(self) -> None:
        """Show where the first picked defect is unlike its surroundings."""
        if not self.picked:
            raise ViewerError("Pick a defect in the gallery first.")
        position = self.picked[0]
        self.workspace.jobs.submit(
            WHY, partial(explaining, self.sorting, position),
            partial(self._explained, position), priority=Priority.VISIBLE,
        )  # fmt: skip

    def _explained(self, position: int, found: list[DefectPlaces]) -> None:
        self.places = position, found
        self.explained.emit()

    # --- out

    def save_model(self, path: Path) -> None:
        """Write the model, for `sesami classify`."""
        self.workspace.say(f"Written to {self.sorting.save(path)}")

    def save_results(self, folder: Path) -> None:
        """Write table, JSON, report, and the KLARF if it came as one."""
        from napari_sesami.classify import report_html
        from napari_sesami.common.disk import write_atomic

        if self.decisions is None:
            raise ViewerError("There is nothing to write yet: label some defects.")
        lot, decisions = self.lot, self.sorting.decide(self.purity)
        folder.mkdir(parents=True, exist_ok=True)
        lot.save_csv(folder / "defects.csv", decisions)
        lot.save_json(folder / "defects.json", decisions)
        html = report_html(lot, decisions, self.matrix)
        write_atomic(folder / "report.html", html.encode())
        words = "defects.csv, defects.json and report.html"
        if lot.klarf is not None:
            book = {c.name: c.number for c in self.sorting.classes if c.number}
            lot.save_klarf(
                folder / lot.klarf.path.name, decisions, book, add_classes=True
            )
            words += f" and {lot.klarf.path.name}"
        self.workspace.say(f"Written to {folder}: {words}.")
