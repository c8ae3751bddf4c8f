"""Retrieval: every plane from a few strokes, by a bank of what was painted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.box import box_of
from napari_sesami.common.cancel import Cancelled
from napari_sesami.session import bank_files
from napari_sesami.session.cleanup import AGREE, SCORE, SPECK, Cleaned, clean_plane
from napari_sesami.session.errors import SessionError
from napari_sesami.session.learner import StrokeLearner, raising
from napari_sesami.session.plane_labels import (
    Explanation,
    PlaneLabels,
    ReadOptions,
    Why,
    at_odds,
    stroke_facts,
    told_of,
    with_pictures,
)
from napari_sesami.session.segmentation import (
    Segmentation,
    save_overlapping,
    with_masks,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.models import TokenEncoder
    from napari_sesami.retrieve import (
        BankFile,
        Labelled,
        LookShare,
        Method,
        Overlapping,
        Repeats,
        Retriever,
    )
    from napari_sesami.session.document import Document
    from napari_sesami.session.labels import Labels
    from napari_sesami.session.prompts import Prompts
    from napari_sesami.session.strokes import Strokes
    from napari_sesami.session.superpixels import Superpixels

PARTLY_EVERY = 1.0  # s
MOST_REASONS = 5  # strokes that are told behind a pixel
LARGE = 4096**2  # pixels of a plane whose votes are kept for the next question
PARTLY_SHARE = 5  # showing parts may take one second of so many


class Retrieval:
    """Labels planes by what is painted, for scripts and docks.

    Parameters
    ----------
    document
        The scan and what is drawn on it.
    strokes
        What teaches.
    labels
        Where results are accepted to.
    prompts
        The model that cleans results up.
    superpixels
        Pieces of even texture, another way to label many pixels at once.

    Attributes
    ----------
    learner
        The retriever, kept in step with the strokes, and the tokens it reads.
    """

    def __init__(
        self,
        document: Document,
        strokes: Strokes,
        labels: Labels,
        prompts: Prompts,
        superpixels: Superpixels,
    ) -> None:
        self._document, self._strokes = document, strokes
        self._labels, self._prompts = labels, prompts
        self.superpixels = superpixels
        self.learner = StrokeLearner(document)
        # the labels that were explained last: of which retriever, how, votes
        self._explained: tuple[Retriever, tuple[Any, ...], Any] | None = None

    @property
    def encoder(self) -> TokenEncoder:
        """What turns patches into tokens; the bundled encoder unless another is set."""
        return self.learner.encoder

    @encoder.setter
    def encoder(self, encoder: TokenEncoder) -> None:
        self.learner.encoder = encoder

    def empty_cache(self) -> int:
        """Delete the tokens kept on disk, of all scans; gives how many bytes went.

        They are computed again when they are asked for.
        """
        from napari_sesami.retrieve import empty_tokens, token_folder

        return empty_tokens(token_folder())

    # --- labels

    def label(
        self,
        plane: int,
        how: ReadOptions | None = None,
        *,
        quick: bool = False,
        partly: Callable[[int, NDArray[np.uint8]], None] | None = None,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> PlaneLabels:
        """Label one plane, at once or as well as it goes.

        A dock asks twice after each stroke: `quick`, and for fine borders once the
        brush has rested. What the first call reads and learns the second has ready.

        Parameters
        ----------
        plane
            Its number.
        how
            How the strokes are read; by default as `segment` does.
        quick
            Labels with the borders of patches, and the temperature as it was; the first
            answer at a zoom chooses it.
        partly
            Given plane and labels now and then while the plane is read; 0 where it
            is not yet.
        progress, cancelled
            `progress(done, all)` counts tiles read; a cancelled call raises.
        """
        begun = perf_counter()
        how = how or ReadOptions(overlap=self._strokes.overlap)
        if quick:
            how = replace(how, refine=False)
        retriever = self._reads(plane, how, not quick, partly, progress, cancelled)
        found, masks = None, None
        if quick and not how.overlap:
            show = None if partly is None else _shower(partly, plane)
            labels = retriever.quick(
                plane, how.method, raising(cancelled), near=how.near, show=show
            )
        elif not (how.votes or how.overlap) and how.method == "ours":
            check = raising(cancelled)
            labels = retriever.labels(plane, refine=how.refine, check=check)
        else:
            found, each = self._said(
                retriever, plane, how, raising(cancelled), votes=how.votes and not quick
            )
            if each is None:
                assert found is not None
                labels = found.labels
            else:
                labels, masks = _likeliest(each, retriever), each.masks
        facts = stroke_facts(retriever)
        odd = at_odds(retriever, how)
        strokes = [
            pair for one in odd for pair in zip(one.strokes, one.classes, strict=True)
        ]
        return PlaneLabels(
            plane,
            labels,
            facts,
            classes=len({s.class_id for s in facts if s.stroke not in how.off}),
            seconds=perf_counter() - begun,
            masks=masks,
            said=found if how.votes else None,
            told=told_of(retriever, how, [self._in_words(*pair) for pair in strokes]),
            against=tuple(stroke for stroke, _ in strokes),
        )

    def _in_words(self, stroke: int, class_id: int) -> str:
        """Say which stroke is meant: its class, and where it lies."""
        entry = self._document.classes.get(class_id)
        name = f"“{class_id if entry is None else entry.name}”"
        found = self.learner.stroke_pixels(stroke)
        if found is None:
            return f"{name} of a bank"
        plane, (y0, x0, y1, x1), _ = found
        many = f" of slice {plane}" if self._document.scan.n_planes > 1 else ""
        return f"{name} at row {(y0 + y1) // 2}, column {(x0 + x1) // 2}{many}"

    def segment(
        self,
        planes: Iterable[int] | int | None = None,
        *,
        method: Method = "ours",
        multi: bool | None = None,
        zoom: float | None = None,
        refine: bool = True,
        off: frozenset[int] = frozenset(),
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> Segmentation:
        """Label planes by what is painted anywhere in the scan.

        Parameters
        ----------
        planes
            Numbers of planes; by default those with strokes.
        method
            "ours", or one of the published methods as published: "distance" and
            "attention" (AOI-SSL), "histogram" (Hummingbird). Neighbours and
            temperature are chosen by leaving out one stroke at a time.
        multi
            Find every class by itself, so that classes may overlap; as `overlap`
            unless given.
        zoom
            Scale at which the scan is read; by default the one at which strokes are
            told apart best.
        refine
            Sharpen along image edges and with the grey levels of the strokes.
        off
            Strokes that are switched off.
        progress, cancelled
            `progress(done, all)` counts planes; a cancelled call raises.
        """
        from napari_sesami.retrieve import check_method

        check_method(method)
        wanted = self.planes_asked(planes)
        both = self._strokes.overlap if multi is None else multi
        retriever = self.learner.retriever(zoom, cancelled, overlap=both)
        _switch(retriever, off)
        how = ReadOptions(zoom, off, refine, method, both)
        check = raising(cancelled)
        parts: list[Labelled] = []
        masks: list[Overlapping] = []
        for i, plane in enumerate(wanted):
            self.learner.read_tokens(retriever.store, plane, cancelled)
            said, each = self._said(retriever, plane, how, check, votes=True)
            assert said is not None
            parts.append(said)
            masks += [] if each is None else [each]
            if progress is not None:
                progress(i + 1, len(wanted))
        found = Segmentation(
            tuple(wanted),
            np.stack([p.labels for p in parts]),
            np.stack([p.votes for p in parts]),
            np.stack([p.novelty for p in parts]),
            method=method,
        )
        return with_masks(found, masks) if masks else found

    def preview(
        self,
        plane: int,
        tokens: NDArray[np.floating[Any]],
        known: NDArray[np.bool_],
        zoom: float = 1.0,
        asked: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.uint8] | None:
        """Label the part of a plane that was read already, while the rest is to come.

        Parameters
        ----------
        plane, zoom
            Which plane, and the scale at which it is read.
        tokens, known
            (h, w, D) as far as they are known, and where that is, (h, w).
        asked
            Where labels are asked for, (h, w); by default wherever tokens are known.

        Returns
        -------
        ndarray or None
            (y, x) class ids, 0 where nothing is known or asked for; None if no stroke
            is there.
        """
        p = self.learner.token_store(zoom).patch
        height, width = self._document.scan.plane_shape
        seen = known.repeat(p, 0).repeat(p, 1)[:height, :width]
        found = self.learner.partial(plane, tokens, seen, zoom)
        if found is None:
            return None
        if asked is not None:
            seen = asked.repeat(p, 0).repeat(p, 1)[:height, :width]
        return np.where(seen, found.quick(plane, box=box_of(seen)), 0).astype(np.uint8)

    def clean(
        self,
        found: Segmentation,
        *,
        score: float = SCORE,
        agree: float = AGREE,
        speck: int = SPECK,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> tuple[Segmentation, tuple[Cleaned, ...]]:
        """Let the prompt model redraw the parts of a segmentation it agrees with.

        Parameters
        ----------
        found
            What `segment` gave; nothing in it is changed.
        score, agree
            Least quality that the model expects of its mask, and least overlap (IoU)
            of the mask with the part; below, the part stays as it is.
        speck
            Parts of fewer pixels go to the label around.
        progress, cancelled
            `progress(done, all)` counts parts of a plane; a cancelled call raises.

        Returns
        -------
        tuple
            The segmentation with other labels, and what was done on each plane.
        """
        prompts, scan, check = self._prompts, self._document.scan, raising(cancelled)

        def cleaned(
            plane: int, labels: NDArray[np.uint8], votes: NDArray[np.float32]
        ) -> tuple[NDArray[np.uint8], Cleaned]:
            return clean_plane(
                prompts.predictor,
                scan,
                plane,
                labels,
                votes,
                score=score,
                agree=agree,
                speck=speck,
                progress=progress,
                check=check,
            )

        planes = [
            prompts.guarded(partial(cleaned, plane, labels, votes))
            for plane, labels, votes in zip(
                found.planes, found.labels, found.votes, strict=True
            )
        ]
        labels = np.stack([cleaned for cleaned, _ in planes])
        return replace(found, labels=labels), tuple(told for _, told in planes)

    def accept(
        self,
        labels: Segmentation | Any,
        planes: Iterable[int] | None = None,
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> int:
        """Write results into the labels of many planes, as one step for undo.

        Parameters
        ----------
        labels
            A segmentation, or class ids (n, y, x): any array, also a lazy one, of
            which a plane is read when its turn comes.
        planes
            Where the planes of an array belong; by default they are those of the scan.
        overwrite
            Replace labels that are there; otherwise only pixels without one are taken.
        progress, cancelled
            `progress(done, all)` counts planes; after a cancel, what is done stays.

        Returns
        -------
        int
            How many planes changed.
        """
        found: Any = getattr(labels, "labels", labels)
        numbers = list(getattr(labels, "planes", range(self._document.scan.n_planes)))
        numbers = numbers if planes is None else [int(p) for p in planes]
        if len(found) != len(numbers):
            raise SessionError(
                f"{len(found)} planes of labels were given for {len(numbers)} planes; "
                "say with planes= where they belong."
            )
        changed = 0
        with self._document.history.group("accept labels"):
            for i, plane in enumerate(numbers):
                if cancelled is not None and cancelled():
                    break
                changed += self._labels.accept(found[i], plane, overwrite=overwrite)
                if progress is not None:
                    progress(i + 1, len(numbers))
        return changed

    def save_overlapping(
        self, found: Segmentation, path: str | os.PathLike[str]
    ) -> Path:
        """Save classes that overlap: COCO (.json), or a channel per class (.zarr).

        A Zarr file takes all planes of the scan, or the only plane of the segmentation.
        """
        document = self._document
        return save_overlapping(found, document.scan, document.classes, path)

    # --- looking closer

    def why(
        self,
        plane: int,
        at: tuple[float, float],
        how: ReadOptions | None = None,
        *,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> list[Why]:
        """Tell why a pixel (y, x) got its class: reasons with pictures, best first."""
        from napari_sesami.retrieve import why

        how = how or ReadOptions()
        retriever = self._reads(plane, how, True, None, progress, cancelled)
        return with_pictures(why(retriever, plane, *at), self._document.scan)

    def explain(
        self,
        plane: int,
        at: tuple[float, float],
        how: ReadOptions | None = None,
        *,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> Explanation:
        """Tell how likely each class is at a pixel (y, x), and which strokes say so.

        The votes of the plane are kept, so that the next pixel of it is quick until
        the strokes change. Of a very large plane the strokes alone are asked.
        """
        from napari_sesami.retrieve import strokes_behind

        how = how or ReadOptions()
        retriever = self._reads(plane, how, True, None, progress, cancelled)
        reasons = strokes_behind(retriever, plane, *at)
        height, width = self._document.scan.plane_shape
        if height * width > LARGE:  # the votes of the strokes alone need no plane
            sums: dict[int, float] = {}
            for one in reasons:
                sums[one.class_id] = sums.get(one.class_id, 0.0) + one.share
            shares = dict(sorted(sums.items(), key=lambda pair: -pair[1]))
        else:
            version = retriever.voters.version, retriever.temper
            key = (plane, how.refine, how.method, version)
            if self._explained is None or self._explained[:2] != (retriever, key):
                said = retriever.segment(
                    plane,
                    refine=how.refine,
                    method=how.method,
                    check=raising(cancelled),
                )
                self._explained = (retriever, key, said.votes)
            votes = self._explained[2][int(at[0]), int(at[1])]
            shares = {int(i) + 1: float(votes[i]) for i in np.argsort(-votes)}
        shown = with_pictures(reasons[:MOST_REASONS], self._document.scan)
        return Explanation(shares, shown)

    def looks(
        self,
        plane: int,
        at: tuple[float, float],
        how: ReadOptions | None = None,
        *,
        cancelled: IsCancelled | None = None,
    ) -> list[LookShare]:
        """Tell which looks decided a pixel (y, x), strongest first; none of one class.

        Grey level, edges, lines, textures by their width, and the surroundings.
        """
        from napari_sesami.retrieve import looks_that_decided

        how, check = how or ReadOptions(), raising(cancelled)
        retriever = self._reads(plane, how, True, None, None, cancelled)
        if how.method != "ours" or retriever.trees(check) is None:
            return []
        return looks_that_decided(retriever, plane, *at, check)[1]

    def worth(
        self, how: ReadOptions | None = None, cancelled: IsCancelled | None = None
    ) -> dict[int, float]:
        """Judge what every stroke is worth to the others."""
        from napari_sesami.retrieve import worth

        how = how or ReadOptions()
        found = self.learner.retriever(how.zoom, cancelled, overlap=how.overlap)
        _switch(found, how.off)
        return worth(found, raising(cancelled))

    def repeats(
        self,
        plane: int,
        box: BBox,
        *,
        least: float,
        zoom: float = 1.0,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> Repeats:
        """Find the repeats of a cell, at least so alike; `progress` counts tiles."""
        from napari_sesami.retrieve import find_repeats

        learner = self.learner
        if not learner.tokens(plane, zoom, progress=progress, cancelled=cancelled):
            raise Cancelled("Looking for repeats was stopped.")
        return find_repeats(learner.token_store(zoom), plane, box, least=least)

    # --- banks

    def teach(self, bank: BankFile | str | Path) -> None:
        """Learn from a bank that was made on another scan of the same device.

        Classes are matched by name; those that this session lacks are added. A bank of
        another encoder, or of a pixel size too far away, is refused in a sentence.
        """
        bank_files.teach(self.learner, self._document, bank)

    def export_bank(
        self,
        path: str | Path,
        *,
        thumbnails: bool = True,
        zoom: float | None = None,
    ) -> Path:
        """Write what was painted (and taught) to a `.bank` file for other scans.

        Without thumbnails no picture of the scan leaves the house, only numbers that
        describe stroked patches and pixels. `zoom` is the scale at which the scan is
        read, as in `segment`.
        """
        target = Path(path)
        bank_files.export_bank(self.learner, self._document, target, thumbnails, zoom)
        return target

    def combine_banks(
        self, banks: Sequence[str | Path], path: str | Path
    ) -> tuple[Path, int]:
        """Write one bank of two or more; gives its path and how many patches it has.

        Banks of another encoder or patch size are refused in a sentence; classes are
        joined by name.
        """
        return Path(path), bank_files.combine_banks(banks, Path(path))

    # --- inside

    def _reads(
        self,
        plane: int,
        how: ReadOptions,
        tune: bool,
        partly: Callable[[int, NDArray[np.uint8]], None] | None,
        progress: Progress | None,
        cancelled: IsCancelled | None,
    ) -> Retriever:
        """Read a plane and bring the retriever up to date; tokens of `plane` first."""
        learner, zoom = self.learner, how.zoom
        if zoom is None:
            zoom = learner.best_zoom(cancelled)
        store, painted = learner.token_store(zoom), learner.painted_on(plane)
        shown: Callable[[Any, Any], None] | None = None

        def show(tokens: NDArray[Any], known: NDArray[np.bool_]) -> None:
            nonlocal shown
            assert partly is not None
            if shown is None:
                shown = self._reading_shown(plane, how, zoom, partly, cancelled)
            shown(tokens, known)

        tokens = store.plane(
            plane,
            near=how.near,
            first=painted,
            progress=progress,
            partly=None if partly is None else show,
            cancelled=cancelled,
        )
        if tokens is None:
            raise Cancelled("Segmenting was stopped.")
        found = learner.retriever(
            zoom, cancelled, tune=tune or None, overlap=how.overlap
        )
        _switch(found, how.off)
        return found

    def _reading_shown(
        self,
        plane: int,
        how: ReadOptions,
        zoom: float,
        partly: Callable[[int, NDArray[np.uint8]], None],
        cancelled: IsCancelled | None,
    ) -> Callable[[NDArray[np.floating[Any]], NDArray[np.bool_]], None]:
        """Make what shows labels of a plane while its tokens are read.

        Of a large plane they are those of the answer itself, which takes them over.
        """
        from napari_sesami.retrieve import is_large

        learner, check = self.learner, raising(cancelled)
        store, painted = learner.token_store(zoom), learner.painted_on(plane)
        others = [number for number, _ in learner.painted() if number != plane]
        y, x = np.divmod(painted, self._document.scan.plane_shape[1])
        under = y // store.patch, x // store.patch
        show, next_ = _shower(partly, plane), 0.0
        shown = np.zeros(self._document.scan.plane_shape, np.uint8)
        decided: NDArray[np.bool_] | None = None  # by all strokes of this plane
        stays = how.method == "ours" and not (how.overlap or how.refine)

        def by_parts(
            tokens: NDArray[np.floating[Any]], known: NDArray[np.bool_]
        ) -> None:
            nonlocal next_, decided
            if perf_counter() < next_:
                return
            begun = perf_counter()
            asked = known if decided is None else known & ~decided
            labels = self.preview(plane, tokens, known, zoom, asked)
            if labels is not None:
                np.copyto(shown, labels, where=labels > 0)
                partly(plane, shown.copy())
                if known[under].all():
                    decided = known.copy()
            now = perf_counter()
            next_ = now + max(PARTLY_EVERY, (PARTLY_SHARE - 1) * (now - begun))

        def by_squares(
            tokens: NDArray[np.floating[Any]], known: NDArray[np.bool_]
        ) -> None:
            if not known[under].all() or not all(map(store.ready, others)):
                return
            found = learner.retriever(zoom, cancelled, tune=None)
            _switch(found, how.off)
            answer = found.soon(plane, check)
            there = answer.within(known, store.patch)
            answer.fill(there, check, partial(show, answer.shown), threads=False)

        large = is_large(self._document.scan.plane_shape)
        return by_squares if stays and large else by_parts

    def _said(
        self,
        retriever: Retriever,
        plane: int,
        how: ReadOptions,
        check: Callable[[], None],
        votes: bool,
    ) -> tuple[Labelled | None, Overlapping | None]:
        """What is said of a plane: one class a pixel, each class by itself, or both."""
        from napari_sesami.retrieve import overlapping

        said, each = None, None
        if votes or not how.overlap:
            said = retriever.segment(
                plane, refine=how.refine, method=how.method, check=check
            )
        if how.overlap:
            each = overlapping(
                retriever, plane, method=how.method, refine=how.refine, check=check
            )
        return said, each

    def planes_asked(self, planes: Iterable[int] | int | None) -> list[int]:
        """Check numbers of planes; by default those with strokes."""
        if planes is None:
            return [plane for plane, _ in self.learner.painted()] or [0]
        wanted = [planes] if isinstance(planes, int | np.integer) else list(planes)
        scan = self._document.scan
        bad = [p for p in wanted if not 0 <= int(p) < scan.n_planes]
        if bad or not wanted:
            raise SessionError(
                f"{scan.name} has planes 0 to {scan.n_planes - 1}; "
                f"{bad[0] if bad else 'none'} was asked for."
            )
        return [int(p) for p in wanted]


def _shower(
    partly: Callable[[int, NDArray[np.uint8]], None], plane: int
) -> Callable[[NDArray[np.uint8]], None]:
    """Make what hands labels over at once, then now and then; they are copied."""
    next_ = 0.0

    def show(labels: NDArray[np.uint8]) -> None:
        nonlocal next_
        begun = perf_counter()
        if begun < next_:
            return
        partly(plane, labels.copy())
        now = perf_counter()
        next_ = now + max(PARTLY_EVERY, (PARTLY_SHARE - 1) * (now - begun))

    return show


def _switch(retriever: Retriever, off: frozenset[int]) -> None:
    """Let only those strokes speak that are not switched off."""
    for stroke in retriever.bank.strokes:
        retriever.switch(stroke, stroke not in off)


def _likeliest(each: Overlapping, retriever: Retriever) -> NDArray[np.uint8]:
    """The likeliest of the overlapping classes; nothing is said of data bars."""
    labels = (each.votes.argmax(-1) + 1).astype(np.uint8)
    ignore = retriever.store.scan.ignore
    if ignore is not None:
        labels[ignore] = 0
    return labels
