"""Sort a lot: labels come in one by one, the head answers at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.classify.cache import FeatureCache
from napari_sesami.classify.confusion import ConfusionMatrix, confusion_of
from napari_sesami.classify.decide import Decisions, decide
from napari_sesami.classify.defect import DefectClass
from napari_sesami.classify.encoders import (
    ENCODER,
    learnt_by,
    load_encoder,
    mark_of,
    weights_of,
)
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.features import LotFeatures, features_of
from napari_sesami.classify.groups import held_out_groups
from napari_sesami.classify.journal import Given, LabelBook
from napari_sesami.classify.model import (
    FORMAT,
    DefectModel,
    ModelCard,
    Scaling,
    Space,
    fit_model,
    save_model,
)
from napari_sesami.classify.tuning import (
    EACH,
    STEPS,
    TuningLabels,
    start_tuning,
    tuned_encoder,
)
from napari_sesami.common.cancel import not_cancelled
from napari_sesami.common.home import home

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sesami.classify.head import Floats, Whole
    from napari_sesami.classify.lot import Lot
    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.models import TokenEncoder


class Classifier:
    """Labels, head and decisions of one lot.

    Parameters
    ----------
    lot
        The defects.
    encoder
        A name of the catalog ("sesami-nano", "lite0", one that was tuned or
        pretrained), a file of weights, or a token encoder.
    folder
        Where labels are kept as they are given; None keeps them in memory.
    from_file
        Take the classes that the lot's file gives for labels.
    cache
        Of features; None takes the user's.
    device
        For an encoder that is given by name.
    """

    def __init__(
        self,
        lot: Lot,
        encoder: str | TokenEncoder = ENCODER,
        *,
        folder: str | os.PathLike[str] | None = None,
        from_file: bool = True,
        cache: FeatureCache | None = None,
        device: str = "auto",
    ) -> None:
        self.lot = lot
        self._named: str | None = encoder if isinstance(encoder, str) else None
        self._loaded: TokenEncoder | None = None
        if not isinstance(encoder, str):
            self._loaded = encoder
        self._learnt: frozenset[str] | None = None
        self._device, self._cache = device, cache
        given = {
            d.id: (d.label, d.labelled_by or "file")
            for d in lot.defects
            if d.label is not None
        }
        self.book = LabelBook(
            given if from_file else {},
            lot.classes,
            None if folder is None else Path(folder),
        )
        self._features: LotFeatures | None = None
        self._scalings: dict[str, Scaling] = {}
        self._space: Space | None = None
        self._places: NDArray[np.float32] | None = None
        self._version = 0
        self._model: DefectModel | None = None
        self._judged: tuple[str, ...] = ()
        self._answers: tuple[Floats | None, NDArray[np.float64]] | None = None

    # ------------------------------------------------------------------------- labels

    @property
    def labels(self) -> dict[str, Given]:
        """Class and giver of every labelled defect of the lot, by its name."""
        there = self.lot.positions
        given = dict(self.book.given)  # a thread may compute while labels come in
        return {name: told for name, told in given.items() if name in there}

    @property
    def classes(self) -> list[DefectClass]:
        """The class book, in its order."""
        return self.book.classes

    def label(
        self, ids: str | Iterable[str], name: str | None, by: str = "person"
    ) -> None:
        """Call defects by a class; None takes their labels away. One step of undo.

        Raises
        ------
        ClassifyError
            A defect is not of this lot, or the class has no name.
        """
        wanted = [ids] if isinstance(ids, str) else list(ids)
        for one in wanted:
            self.lot.position(one)
        if name is None:
            self._change("unlabel", dict.fromkeys(wanted), None)
            return
        name = _a_name(name)
        book = None
        if name not in {c.name for c in self.classes}:
            book = [*self.classes, DefectClass(name)]
        many = f"{len(wanted)} defects" if len(wanted) != 1 else wanted[0]
        self._change(f"{many} → {name}", dict.fromkeys(wanted, (name, by)), book)

    def define(
        self, name: str, number: int | None = None, definition: str = ""
    ) -> None:
        """Put a class into the book, or change its number and definition."""
        name = _a_name(name)
        new = DefectClass(name, number, definition)
        book = [new if c.name == name else c for c in self.classes]
        if new not in book:
            book.append(new)
        self._change(f"define {name}", {}, book)

    def rename(self, old: str, new: str) -> None:
        """Give a class another name; its labels follow."""
        new = _a_name(new)
        if new in {c.name for c in self.classes}:
            raise ClassifyError(
                f"There is a class {new!r} already; merge them instead."
            )
        book = [
            DefectClass(new, c.number, c.definition) if c.name == old else c
            for c in self.classes
        ]
        self._moved(f"rename {old} to {new}", [old], new, book)

    def merge(self, names: Sequence[str], into: str) -> None:
        """Make several classes one; to split one, label some of its defects anew."""
        into = _a_name(into)
        known = {c.name: c for c in self.classes}
        kept = known.get(into, DefectClass(into))
        book = [c for c in self.classes if c.name not in names and c.name != into]
        where = [k for k, c in enumerate(self.classes) if c.name in (*names, into)]
        book.insert(min([*where, len(book)]), kept)
        self._moved(f"merge {', '.join(names)} into {into}", names, into, book)

    def split(
        self, name: str, into: str, ids: Iterable[str] | None = None
    ) -> list[str]:
        """Move some labels of a class to a new one; gives whose. One step of undo.

        Parameters
        ----------
        name, into
            The class, and the new one.
        ids
            Which of its defects; None takes the smaller of the two halves that its
            labelled defects fall into by their likeness.

        Raises
        ------
        ClassifyError
            `into` is there already, or none or all of its labels would move.
        """
        into = _a_name(into)
        if into in {c.name for c in self.classes}:
            raise ClassifyError(
                f"There is a class {into!r} already; give the new one another name."
            )
        own = {i: who for i, (n, who) in self.labels.items() if n == name}
        if ids is None:
            wanted = _smaller_half(self.places, self.lot.positions, list(own))
        else:
            wanted = [i for i in ids if i in own]
        if not wanted or len(wanted) == len(own):
            raise ClassifyError(
                f"To split {name}, pick some of its {len(own)} labelled defects, not "
                "all of them."
            )
        book = list(self.classes)
        at = next((k for k, c in enumerate(book) if c.name == name), len(book) - 1)
        book.insert(at + 1, DefectClass(into))
        moved = {i: (into, own[i]) for i in wanted}
        self._change(f"split {name} into {name} and {into}", moved, book)
        return wanted

    def remove(self, name: str) -> None:
        """Take a class out of the book; its defects lose their labels."""
        gone: dict[str, Given | None] = {
            one: None for one, (own, _) in self.book.given.items() if own == name
        }
        book = [c for c in self.classes if c.name != name]
        self._change(f"remove {name}", gone, book)

    def undo(self) -> str | None:
        """Take the last change back; gives its words."""
        words = self.book.undo()
        self._forget()
        return words

    def redo(self) -> str | None:
        """Do again what was taken back; gives its words."""
        words = self.book.redo()
        self._forget()
        return words

    def _moved(
        self, words: str, old: Sequence[str], new: str, book: list[DefectClass]
    ) -> None:
        labels = {
            one: (new, who) for one, (own, who) in self.book.given.items() if own in old
        }
        self._change(words, labels, book)

    def _change(
        self,
        words: str,
        labels: Mapping[str, Given | None],
        book: list[DefectClass] | None,
    ) -> None:
        self.book.change(words, labels, book)
        self._forget()

    def _forget(self) -> None:
        self._version += 1
        self._model, self._answers = None, None

    # ------------------------------------------------------------------------ answers

    def prepare(
        self,
        progress: Progress | None = None,
        stop: IsCancelled = not_cancelled,
    ) -> LotFeatures:
        """Compute the features of all pictures, once; later calls give them at once."""
        if self._features is None:
            found = features_of(
                self.lot.defects, self.encoder, cache=self._cache or FeatureCache(),
                progress=progress, stop=stop,
            )  # fmt: skip
            self.use(found)
        assert self._features is not None
        return self._features

    def use(self, features: LotFeatures) -> None:
        """Take features that were computed elsewhere, for instance in a thread."""
        self._features = features
        self._scalings = {v: Scaling.of(x, v) for v, x in features.views.items()}
        first = "high" if "high" in features.views else next(iter(features.views))
        self._space = Space.of(first, features.views[first])
        self._places = self._space.places(features.views)
        self._forget()

    @property
    def is_prepared(self) -> bool:
        """Whether the pictures have been read."""
        return self._features is not None

    @property
    def encoder(self) -> TokenEncoder:
        """The frozen encoder; loaded when it is first needed."""
        if self._loaded is None:
            assert self._named is not None
            self._loaded = load_encoder(self._named, self._device)
        return self._loaded

    @property
    def encoder_name(self) -> str:
        """How the encoder is called, in the catalog if it comes from there."""
        return self._named or self.encoder.name

    def use_encoder(self, encoder: str | TokenEncoder) -> None:
        """Take another encoder; labels stay, features are read again."""
        self._named = encoder if isinstance(encoder, str) else None
        self._loaded = None if isinstance(encoder, str) else encoder
        self._learnt, self._features = None, None
        self._forget()

    def _may_judge(self, rows: Whole) -> NDArray[np.bool_] | None:
        """Tell who the encoder was not tuned on; None if it was on nobody."""
        if self._learnt is None:
            self._learnt = learnt_by(self._named) if self._named else frozenset()
        if not self._learnt:
            return None
        marks = [mark_of(self.lot.defects[k]) for k in rows]
        return np.array([mark not in self._learnt for mark in marks])

    @property
    def features(self) -> LotFeatures:
        """See `prepare`."""
        return self.prepare()

    @property
    def places(self) -> NDArray[np.float32]:
        """Where each defect lies in the space of likeness; NaN without its picture."""
        self.prepare()
        assert self._places is not None
        return self._places

    @property
    def model(self) -> DefectModel | None:
        """The heads for the labels as they are; None before a second class."""
        if self._model is None:
            version = self._version
            fitted = self._fitted()
            if version != self._version:  # a label came in meanwhile
                return None if fitted is None else fitted[0]
            if fitted is not None:
                self._model, self._judged = fitted
        return self._model

    def _fitted(self) -> tuple[DefectModel, tuple[str, ...]] | None:
        """Fit heads to the labels; give them, and who was labelled."""
        features, given = self.features, self.labels
        names = self.label_names()
        index = {name: k for k, name in enumerate(names)}
        positions = self.lot.positions
        readable = np.asarray(np.isfinite(self.places).all(1))
        found = sorted(
            (positions[one], index[name])
            for one, (name, _) in given.items()
            if readable[positions[one]] and name in index
        )
        # a class whose pictures are all broken cannot be learnt
        left = sorted({k for _, k in found})
        if len(left) < 2:
            return None
        rows = np.array([row for row, _ in found], np.int64)
        labels = np.array([left.index(k) for _, k in found], np.int64)
        groups = held_out_groups(self.lot.defects, rows, labels, self.places)
        assert self._space is not None
        model = fit_model(
            features.views, self._scalings, self._space, rows, labels,
            [names[k] for k in left], groups, self._may_judge(rows),
        )  # fmt: skip
        assert model.judged is not None
        return model, tuple(self.lot.defects[k].id for k in rows[model.judged])

    def label_names(self) -> list[str]:
        """Names of the classes with a label, in the order of the class book."""
        used = {name for name, _ in self.labels.values()}
        ordered = [c.name for c in self.classes if c.name in used]
        return [*ordered, *sorted(used - set(ordered))]

    @property
    def answers(self) -> tuple[Floats | None, NDArray[np.float64]]:
        """Probabilities (defects, classes) or None, and novelty, for the whole lot."""
        if self._answers is not None:
            return self._answers
        version, model = self._version, self.model
        found: tuple[Floats | None, NDArray[np.float64]]
        if model is None:
            found = None, np.zeros(len(self.lot))
        else:
            views = self.features.views
            found = model.probabilities(views), model.novelty(self.places)
        if version == self._version:
            self._answers = found
        return found

    def decide(self, purity: float = 0.9) -> Decisions:
        """Decide what can be decided at a purity; the rest is unknown."""
        _check_purity(purity)
        while True:  # until no label comes in between
            version, model = self._version, self.model
            table, novelty = self.answers
            if version == self._version:
                break
        names = model.classes if model else ()
        chosen = model.thresholds(purity) if model else ()
        given = {self.lot.positions[i]: g for i, g in self.labels.items()}
        decisions = decide(
            [d.id for d in self.lot.defects], names, table, novelty, chosen, purity,
            given, self.features.broken,
        )  # fmt: skip
        decisions.provenance = self.provenance()
        return decisions

    def provenance(self) -> dict[str, str]:
        """Say what the answers come from."""
        from importlib.metadata import version

        return {
            "lot": self.lot.name,
            "file": str(self.lot.path or ""),
            "encoder": self.features.encoder,
            "features": self.features.key,
            "labels": str(len(self.labels)),
            "version": version("napari-sesami"),
        }

    def matrix(self, purity: float | None = None) -> ConfusionMatrix:
        """Judge every label by heads that never saw its lot.

        With a purity, what would be unknown at it counts as such.

        Raises
        ------
        ClassifyError
            There are fewer than two classes with labels.
        """
        model = self.model
        if model is None:
            raise ClassifyError(
                "A confusion matrix needs two classes with labels; label some defects."
            )
        said = model.held.argmax(1)
        if purity is not None:
            _check_purity(purity)
            least = np.array([t.confidence for t in model.thresholds(purity)])
            sure = model.held[np.arange(len(said)), said]
            said = np.where((sure < least[said]) | (model.held_novelty >= 1), -1, said)
        return confusion_of(model.classes, model.labels, said, self._judged)

    # --------------------------------------------------------------------- fine-tuning

    def train(self, steps: int = STEPS, *, least: int = EACH, **options: Any) -> Any:
        """Fine-tune the encoder on the labels, in a process of its own.

        Whole lots are held out (wafers, or defects, where there is one lot); `adopt`
        takes what the run learnt if it answers more of them.

        Parameters
        ----------
        steps
            How many updates.
        least
            Labels that every class needs.
        **options
            Of `RunConfig` (`batch`, `rate`, `device`, `seed` …) or of the recipe
            `pairs-classifier` (`side`, `head_rate` …).

        Returns
        -------
        napari_sesami.train.Run
            With `wait()`, `stop()`, `metrics`, `folder`.

        Raises
        ------
        ClassifyError
            A class has too few labels, or the encoder was not given by its name.
        """
        if self._named is None:
            raise ClassifyError(
                "Fine-tuning loads the encoder in another process: give it by its name "
                'in the catalog, such as encoder="sesami-nano", or as a file.'
            )
        book = self.book.path
        root = (home() if book is None else book.parent) / "runs"
        return start_tuning(
            self.tuning_labels(), self._named, root, steps, least,
            {"device": self._device, **options},
        )  # fmt: skip

    def tuning_labels(self) -> TuningLabels:
        """Give what `train` tunes an encoder on."""
        named = {i: name for i, (name, _) in self.labels.items()}
        return TuningLabels(self.lot.defects, named, self.places, self.lot.save_folder)

    def adopt(self, run: Any, *, insist: bool = False) -> str:
        """Take the encoder that a run tuned, if it won; gives the verdict.

        It goes into the catalog under its own name; `use_encoder` with the old name
        goes back.

        Raises
        ------
        ClassifyError
            The run has not finished.
        """
        name, told = tuned_encoder(self.lot.name, run, insist)
        if name:
            self.use_encoder(name)
        return told

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model, for `sesami classify LOT --model PATH`.

        Raises
        ------
        ClassifyError
            There is nothing to write: fewer than two classes have labels.
        """
        from importlib.metadata import version

        model = self.model
        if model is None:
            raise ClassifyError(
                "A model needs two classes with labels; label some defects first."
            )
        known = {c.name: c for c in self.classes}
        rows = [known.get(name, DefectClass(name)) for name in model.classes]
        views = list(self.features.views)
        lots = {d.id: d.lot for d in self.lot.defects}
        card = ModelCard(
            format=FORMAT, classes=list(model.classes),
            numbers=[c.number for c in rows], definitions=[c.definition for c in rows],
            encoder=self.features.encoder, encoder_key=self.encoder.key,
            features=self.features.key, views=views, heads=list(model.views),
            lots=sorted({lots[one] for one in self.labels})[:1000],
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            version=version("napari-sesami"), brings_encoder=bool(self._learnt),
        )  # fmt: skip
        own = b""
        if self._named is not None and self._learnt:  # nobody else has these weights
            own = weights_of(self._named).read_bytes()
        return save_model(model, Path(path), card, own)


def _a_name(name: str) -> str:
    name = " ".join(str(name).split())
    if not name or len(name) > 120:
        raise ClassifyError(
            f"A class needs a name of 1 to 120 characters, not {name[:40]!r}."
        )
    return name


def _smaller_half(
    places: NDArray[np.float32], positions: Mapping[str, int], ids: list[str]
) -> list[str]:
    """Part defects where they vary most; give those of the side with fewer."""
    there = [i for i in ids if np.isfinite(places[positions[i]]).all()]
    if len(there) < 2:
        return []
    own = places[[positions[i] for i in there]].astype(np.float64)
    own -= own.mean(0)
    along = own @ np.linalg.eigh(own.T @ own)[1][:, -1]
    right = along > 0
    if 2 * right.sum() > len(right):
        right = ~right
    return [i for i, hit in zip(there, right, strict=True) if hit]


def _check_purity(purity: float) -> None:
    if not 0 < purity < 1:
        raise ClassifyError(
            f"A purity of {purity:g} was wished; give a share between 0 and 1, such as "
            "0.95."
        )
