"""Retriever: strokes in, labels out, kept up to date by differences."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.recent import Recent
from napari_sesami.retrieve.bank import (
    Bank,
    RetrieveError,
    Rows,
    fitted,
    rows_by_stroke,
    same,
)
from napari_sesami.retrieve.methods import (
    Method,
    Settings,
    check_method,
    choose,
    pixel_shares,
    token_shares,
)
from napari_sesami.retrieve.on_disk import let_go, zeros
from napari_sesami.retrieve.painted import PaintedPixels, differing
from napari_sesami.retrieve.pixel_features import sample, spaced
from napari_sesami.retrieve.pixel_forest import PixelForest, joined
from napari_sesami.retrieve.plane_labels import Labelled
from napari_sesami.retrieve.threads import in_order, one_thread
from napari_sesami.retrieve.tiled_answer import REACH, TiledAnswer, is_large
from napari_sesami.retrieve.upsample import Guide, nothing, quick_labels, upsample
from napari_sesami.retrieve.voting import (
    VoteTemperature,
    balanced,
    best_similarity,
    by_share,
    count_votes,
    mean_share,
    tune,
    with_area,
)
from napari_sesami.retrieve.voting_rows import VotingRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sesami.common.box import BBox
    from napari_sesami.retrieve.overlap import Choice
    from napari_sesami.retrieve.pixel_forest import PixelSamples, Trees
    from napari_sesami.retrieve.published import PublishedMethod
    from napari_sesami.retrieve.token_store import TokenStore
    from napari_sesami.retrieve.upsample import Check


KEPT = 2  # planes whose running votes are kept; others are counted again
ROWS = 64  # of tokens that are counted at a time
EVEN = 64  # pixels: boxes that are decided alone begin at multiples
ELSEWHERE = -1
"""Plane of rows that come from another scan."""


@dataclass
class _Sum:
    """Running votes of one plane, and how similar each token is to anything labelled.

    Tokens are counted when they are asked for. A maximum cannot be taken back: after a
    stroke went, `best` is None until asked for.
    """

    votes: NDArray[np.float64]
    counted: NDArray[np.bool_]
    best: NDArray[np.float32] | None


class Retriever:
    """Turns the strokes of a scan into labels of any plane.

    Parameters
    ----------
    store
        The scan's tokens.
    n_classes
        How many class ids there are; it may grow.
    """

    def __init__(self, store: TokenStore, n_classes: int) -> None:
        self.store = store
        self.bank = Bank(store.encoder.dim, store.patch)
        self.temper = VoteTemperature()
        self.voters = VotingRows(self.bank)
        self._settings: dict[Method, tuple[int, Settings]] = {}
        self.overlap_choices: dict[
            Method, tuple[tuple[int, VoteTemperature], Choice]
        ] = {}
        self._n_classes = n_classes
        self._sums: Recent[int, _Sum] = Recent(KEPT)
        self.evidence = PixelForest(store)
        self._large = is_large(store.scan.plane_shape)
        self._guide: tuple[int, Guide] | None = None
        self._soon: tuple[Any, TiledAnswer] | None = None
        self._strokes: dict[tuple[int, int], PaintedPixels] = {}

    @property
    def n_classes(self) -> int:
        """How many class ids there are."""
        return self._n_classes

    @property
    def painted(self) -> set[int]:
        """Planes that hold strokes."""
        return {plane for plane, _ in self._strokes}

    def set_strokes(
        self,
        plane: int,
        strokes: NDArray[Any],
        owners: NDArray[np.int64],
        below: tuple[NDArray[Any], NDArray[np.int64]] | None = None,
    ) -> list[int]:
        """Take over a plane's strokes; only what changed is learned or unlearned.

        Parameters
        ----------
        plane
            Number of the plane.
        strokes
            (H, W): 0 nothing, k class k.
        owners
            (H, W): the stroke that painted each pixel.
        below
            Strokes and owners that others were painted over; other owners than above.

        Returns
        -------
        list of int
            The strokes that were learned, changed or forgotten.
        """
        changed: list[int] = []
        for level, layer in enumerate(((strokes, owners), below)):
            before = self._strokes.get((plane, level), PaintedPixels.none())
            now = PaintedPixels.none() if layer is None else PaintedPixels.of(*layer)
            changed += self.set_painted(plane, now, differing(before, now), level)
        return changed

    def set_painted(
        self,
        plane: int,
        painted: PaintedPixels,
        names: Iterable[int],
        level: int = 0,
    ) -> list[int]:
        """Take over a plane's strokes of which only those in `names` may differ.

        Parameters
        ----------
        plane
            Number of the plane.
        painted
            All that is painted there.
        names
            Strokes that came, changed or went.
        level
            0 for strokes on top, 1 for those that others were painted over.

        Returns
        -------
        list of int
            The strokes that were learned, changed or forgotten.
        """
        tokens = self.tokens(plane)
        self._strokes.pop((plane, level), None)
        if len(painted):
            self._strokes[plane, level] = painted
            self._n_classes = max(self._n_classes, int(painted.classes.max()))
        asked = np.array(sorted(names), np.int64)
        mine = painted.take(np.isin(painted.owners, asked))
        found = rows_by_stroke(mine, self.store.scan.plane_shape, tokens, plane)
        nothing = Rows.empty(tokens.shape[2], self.store.patch)
        return [
            name
            for name in asked.tolist()
            if self._replace(name, plane, found.get(name, nothing))
        ]

    def _replace(self, stroke: int, plane: int, rows: Rows) -> bool:
        """Put a stroke's rows of one plane; add and subtract their votes."""
        before = self.bank.strokes.get(stroke)
        if before is not None:
            elsewhere = before.take(before.where[:, 0] != plane)
            if len(elsewhere):
                rows = Rows.join([elsewhere, rows])
            if same(before, rows):
                return False
        self._vote(stroke, before, -1)
        self.bank.put(stroke, rows)
        self.voters.changed(stroke)
        self._vote(stroke, rows, +1)
        return True

    def teach(
        self, rows: Rows, n_classes: int, pixels: PixelSamples | None = None
    ) -> None:
        """Add rows that were labelled on another scan; they belong to no plane here.

        `pixels` are its stroked pixels, if they have the size of those here.
        """
        self._n_classes = max(self._n_classes, n_classes)
        start = min((s for s, _ in self.bank), default=0)
        start = min(start, 0) - 1
        for i, stroke in enumerate(np.unique(rows.stroke)):
            own = rows.take(rows.stroke == stroke)
            name = start - i  # names below zero are foreign
            where = own.where.copy()
            where[:, 0] = ELSEWHERE
            patches = fitted(own.patches, self.store.patch)
            names = np.full(len(own), name, np.int64)
            moved = Rows(own.tokens, patches, where, names)
            self.bank.put(name, moved)
            self.voters.changed(name)
            self._vote(name, moved, +1)
        if pixels is not None:
            known = np.unique(rows.stroke)
            pixels = pixels.take(np.isin(pixels.stroke, known))
            names = start - np.searchsorted(known, pixels.stroke)
            self.evidence.teach(replace(pixels, stroke=names))

    def samples(self, check: Check = nothing) -> PixelSamples:
        """The stroked pixels that are learned from."""
        return self.evidence.samples(self._strokes, self.bank.off, check)

    def trees(self, check: Check = nothing) -> Trees | None:
        """Forests of the strokes as they are; None below two classes."""
        version = self.voters.version
        return self.evidence.learn(self._strokes, self.bank.off, version, check)

    def switch(self, stroke: int, on: bool) -> None:
        """Let a stroke speak or be silent, without forgetting it."""
        if stroke not in self.bank.strokes:
            raise RetrieveError(f"There is no stroke {stroke} in the bank.")
        if on == (stroke not in self.bank.off):
            return
        rows = self.bank.strokes[stroke]
        if on:
            self.bank.off.discard(stroke)
            self._vote(stroke, rows, +1)
        else:
            self._vote(stroke, rows, -1)
            self.bank.off.add(stroke)
        self.voters.switched()

    def tune(self) -> float:
        """Choose the temperature from the strokes; returns its left-out score."""
        temper, score = tune(self.bank.rows(), self._n_classes)
        if temper != self.temper:
            self.temper = temper
            self._sums.clear()
        return score

    def condense(self, check: Check = nothing) -> None:
        """Let a selection vote if the bank is large; the bank keeps every row."""
        if self.voters.condense(self._n_classes, self.temper, check):
            self._sums.clear()

    def settings(self, method: Method) -> Settings:
        """How a published method is used, chosen from the strokes."""
        known = self._settings.get(method)
        if known is None or known[0] != self.voters.version:
            if method == "ours" or len(self.voters.rows()) == 0:
                raise RetrieveError(
                    "Nothing is labelled yet: paint a stroke of each class first."
                )
            found = choose(self.voters.rows(), self._n_classes, method)
            known = self._settings[method] = (self.voters.version, found)
        return known[1]

    def segment(
        self,
        plane: int,
        *,
        refine: bool = True,
        method: Method = "ours",
        pixels: bool = True,
        check: Check = nothing,
    ) -> Labelled:
        """Label every pixel of a plane from all strokes, wherever they were painted.

        A published method is as published: it is not refined. Without `pixels` the
        votes of tokens decide alone, which is quicker and coarser. `check` is called
        now and then while it works; what it raises ends the work.
        """
        check_method(method)
        if method != "ours":
            return self._published(plane, method, check)
        votes, total = self._probability(plane, check)
        best = self._best(plane, total)
        shape, patch = self.store.scan.plane_shape, self.store.patch
        step, mixed = patch, votes
        if pixels:
            whole = (0, 0, *shape)
            step, mixed = self._mixed(plane, votes, (0, 0), check, not refine, whole)
        if pixels and self.trees(check) is not None:
            mixed = by_share(mixed, mean_share(mixed))
        else:
            mixed = with_area(mixed)
        said = upsample(mixed, shape, step)
        if refine:
            guide = self._guide_of(plane)
            for c in range(said.shape[-1]):
                check()
                said[..., c] = guide.filter(said[..., c])
            np.clip(said, 0, 1, out=said)
            said /= np.maximum(said.sum(-1, keepdims=True), 1e-6)
        labels = self._unmasked((said.argmax(-1) + 1).astype(np.uint8))
        novelty = upsample((1 - best)[..., None], shape, patch)[..., 0]
        return Labelled(labels, said, np.clip(novelty, 0, 2))

    def labels(
        self, plane: int, *, refine: bool = True, check: Check = nothing
    ) -> NDArray[np.uint8]:
        """Class ids (H, W) as of `segment`, without its maps.

        A large plane is decided square by square, so that memory does not grow with
        maps of all its pixels.
        """
        if not self._large:
            return self.segment(plane, refine=refine, check=check).labels
        if not refine:
            return self.quick(plane, check=check)
        answer = self._tiled(plane, False, check)
        answer.fill(answer.unknown(), check)
        return self._unmasked(answer.labels(True, check))

    def quick(
        self,
        plane: int,
        method: Method = "ours",
        check: Check = nothing,
        box: BBox | None = None,
        *,
        near: tuple[float, float] | None = None,
        show: Callable[[NDArray[np.uint8]], None] | None = None,
    ) -> NDArray[np.uint8]:
        """Class ids (H, W) as of ``segment(plane, refine=False)``, and nothing else.

        Of a published method that carries mask patches over, the histograms are
        shown. Pixels outside of a box (y0, x0, y1, x1) need not be decided and may be
        0. A large plane is decided from the pixel `near` outward, and `show` is given
        the labels so far, which must not be kept; classes may still be weighed anew.
        """
        check_method(method)
        shape, step = self.store.scan.plane_shape, self.store.patch
        if method == "ours" and self._large and box is None:
            answer = self.soon(plane, check)
            each = None if show is None else partial(show, answer.shown)
            answer.fill(answer.unknown(near), check, each)
            whole = self._unmasked(answer.labels(False, check))
            if show is not None:
                np.copyto(answer.shown, whole)
            return whole
        if method == "ours":
            part = (0, 0, *shape) if box is None else _even(box, shape)
            y0, x0, y1, x1 = part
            votes, corner = self._around(plane, part, check)
            step, said = self._mixed(plane, votes, corner, check, True, part)
            if self.trees(check) is None:
                found = with_area(said)
            else:
                found = by_share(said, mean_share(said))
            labels = np.zeros(shape, np.uint8)
            labels[y0:y1, x0:x1] = quick_labels(found, (y1 - y0, x1 - x0), step)
            return self._unmasked(labels)
        how, rows = self.settings(method), self.voters.rows()
        tokens = self._single(plane)
        probability = token_shares(tokens, rows, self._n_classes, method, how)
        return self._unmasked(quick_labels(probability, shape, step))

    def soon(self, plane: int, check: Check = nothing) -> TiledAnswer:
        """What is said quickly of a large plane, as far as it was asked for.

        It is kept while the strokes stay as they are.
        """
        state = (plane, self.voters.version, self.temper, self._n_classes)
        before, shown = self._soon, None
        if before is None or before[0] != state:
            if before is not None and before[0][0] == plane:
                shown = before[1].shown  # stays on screen until it is decided anew
            self._soon = before = None  # its memory goes first
            answer = self._tiled(plane, True, check)
            answer.shown = answer.shown if shown is None else shown
            self._soon = before = (state, answer)
        return before[1]

    def _tiled(self, plane: int, quick: bool, check: Check) -> TiledAnswer:
        """An answer of a large plane in which nothing is decided yet."""
        trees, n, store = self.trees(check), self._n_classes, self.store
        if trees is not None:
            self.evidence.ready(trees, quick)
        self.voters.mass(n, self.temper)

        def decide(box: BBox) -> NDArray[np.float32]:
            votes, corner = self._around(plane, box, check)
            return self._mixed(plane, votes, corner, check, quick, box)[1]

        step = store.patch if trees is None else self.evidence.step(quick)

        def rest() -> None:
            let_go(self.tokens(plane))
            let_go(self._total(plane).votes)

        return TiledAnswer(
            store.scan, plane, step, n, decide, trees is not None, store.folder, rest
        )

    def disagreement(self, plane: int, check: Check = nothing) -> NDArray[np.float32]:
        """How far single trees contradict each other, (H, W) in [0, 1] (BALD)."""
        trees = self.trees(check)
        if trees is None:
            raise RetrieveError(
                "Trees contradict each other once strokes of two classes are painted."
            )
        found = self.evidence.disagreement(plane, trees, check)[..., None]
        shape = self.store.scan.plane_shape
        return upsample(found, shape, self.evidence.step(True))[..., 0]

    def forget(self, plane: int) -> None:
        """Drop what is remembered of a plane; it is counted again when asked for."""
        self._sums.pop(plane, None)
        if self._soon is not None and self._soon[0][0] == plane:
            self._soon = None

    def _probability(
        self, plane: int, check: Check = nothing
    ) -> tuple[NDArray[np.float32], _Sum]:
        """Probabilities (h, w, C) of all tokens of a plane, and the votes."""
        total = self._total(plane)
        self._count(plane, total, check)
        mass = self.voters.mass(self._n_classes, self.temper)
        return balanced(total.votes, mass, self.temper), total

    def _around(
        self, plane: int, box: BBox, check: Check
    ) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """Probabilities (h, w, C) of the tokens around a box, and the first of them.

        The box is (y0, x0, y1, x1) in pixels; votes of other tokens need not be
        counted.
        """
        total, patch = self._total(plane), self.store.patch
        h, w = total.counted.shape
        top, left = (max(0, k // patch - 1) for k in box[:2])
        bottom, right = (-(-k // patch) + 1 for k in box[2:])
        part = np.s_[top:bottom, left:right]
        if bottom - top >= h and right - left >= w:
            self._count(plane, total, check)
        else:
            self._count_part(plane, total, part)
        mass = self.voters.mass(self._n_classes, self.temper)
        return balanced(total.votes[part], mass, self.temper), (top, left)

    def _published(self, plane: int, method: PublishedMethod, check: Check) -> Labelled:
        how, rows, tokens = (
            self.settings(method),
            self.voters.rows(),
            self._single(plane),
        )
        shape, n = self.store.scan.plane_shape, self._n_classes
        pixels = pixel_shares(tokens, rows, n, method, how, shape, check)
        best = best_similarity(self._flat(tokens), rows)
        best = best.reshape(*tokens.shape[:2], 1)
        novelty = upsample(1 - best, shape, self.store.patch)[..., 0]
        labels = self._unmasked((pixels.argmax(-1) + 1).astype(np.uint8))
        return Labelled(labels, pixels, np.clip(novelty, 0, 2))

    def _unmasked(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Nothing is said of data bars."""
        if self.store.scan.ignore is not None:
            labels[self.store.scan.ignore] = 0
        return labels

    def _mixed(
        self,
        plane: int,
        votes: NDArray[np.float32],
        corner: tuple[int, int],
        check: Check,
        quick: bool,
        box: BBox,
    ) -> tuple[int, NDArray[np.float32]]:
        """Step of a grid, and probabilities (h, w, C) in a box: of votes and pixels.

        `votes` are those of the tokens around it, which begin at `corner`. Classes are
        not weighed by their share of the plane yet.
        """
        patch, trees = self.store.patch, self.trees(check)
        y0, x0, y1, x1 = box
        if trees is None:
            down = slice(y0 // patch - corner[0], -(-y1 // patch) - corner[0])
            right = slice(x0 // patch - corner[1], -(-x1 // patch) - corner[1])
            return patch, votes[down, right]
        n = votes.shape[-1]
        said = self.evidence.decide(plane, trees, n, check, quick=quick, box=box)
        step, shape = self.evidence.step(quick), self.store.scan.plane_shape
        rows = spaced(shape[0], step)[y0 // step : -(-y1 // step)]
        columns = spaced(shape[1], step)[x0 // step : -(-x1 // step)]
        y, x = np.meshgrid(rows, columns, indexing="ij")
        there = sample(
            votes.transpose(2, 0, 1),
            (y.ravel() + 0.5) / patch - 0.5 - corner[0],
            (x.ravel() + 0.5) / patch - 0.5 - corner[1],
        )
        return step, joined(said, there.reshape(said.shape))

    def _guide_of(self, plane: int) -> Guide:
        if self._guide is None or self._guide[0] != plane:
            guide = Guide(self.store.scan.grey(plane), REACH, step=2)
            self._guide = (plane, guide)
        return self._guide[1]

    def _total(self, plane: int) -> _Sum:
        """Running votes of a plane, of which nothing may be counted yet."""
        if len(self.voters.rows()) == 0:
            raise RetrieveError(
                "Nothing is labelled yet: paint a stroke of each class first."
            )
        total = self._sums.get(plane)
        if total is None or total.votes.shape[-1] != self._n_classes:
            cells = self.tokens(plane).shape[:2]
            votes = zeros((*cells, self._n_classes), np.float64, self.store.folder)
            best = np.full(cells, -1, np.float32)
            total = _Sum(votes, np.zeros(cells, bool), best)
            self._sums[plane] = total
        return total

    def _count(self, plane: int, total: _Sum, check: Check) -> None:
        """Count the votes of all tokens that were not counted yet."""
        strips = [
            np.s_[start : start + ROWS, :]
            for start in range(0, len(total.counted), ROWS)
        ]
        todo = [strip for strip in strips if not total.counted[strip].all()]
        self.voters.rows()

        def count(strip: tuple[slice, slice]) -> None:
            check()
            self._count_part(plane, total, strip)

        with closing(in_order(count, todo)) as done:
            for _ in done:
                let_go(total.votes)

    def _count_part(self, plane: int, total: _Sum, part: tuple[slice, slice]) -> None:
        """Count the votes of some tokens, of those that were not counted yet."""
        todo = ~total.counted[part]
        if not todo.any():
            return
        flat, rows = self._flat(self.tokens(plane)[part][todo]), self.voters.rows()
        with one_thread():
            votes, best = count_votes(flat, rows, self._n_classes, self.temper)
        total.votes[part][todo] = votes
        if total.best is not None:
            total.best[part][todo] = best
        total.counted[part] = True

    def _vote(self, stroke: int, rows: Rows | None, sign: int) -> None:
        rows = None if rows is None else self.voters.of(stroke, rows)
        if rows is None or len(rows) == 0 or stroke in self.bank.off:
            return
        for plane, total in list(self._sums.items()):
            if total.votes.shape[-1] != self._n_classes:
                del self._sums[plane]  # a class was added: counted afresh when needed
            else:
                self._add(plane, total, rows, sign)

    def _add(self, plane: int, total: _Sum, rows: Rows, sign: int) -> None:
        """Add votes of some rows to those counted, or take them off."""
        tokens = self.tokens(plane)
        total.best = total.best if sign > 0 else None
        for start in range(0, len(tokens), ROWS):
            part = np.s_[start : start + ROWS, :]
            here: Any = total.counted[part]
            if not here.any():
                continue
            flat = self._flat(tokens[part] if here.all() else tokens[part][here])
            votes, best = count_votes(flat, rows, self._n_classes, self.temper)
            if here.all():
                votes = votes.reshape(total.votes[part].shape)
                best, here = best.reshape(here.shape), ...
            total.votes[part][here] += sign * votes
            if total.best is not None:
                total.best[part][here] = np.maximum(total.best[part][here], best)
        if self._large:
            let_go(total.votes)
            let_go(tokens)

    def _best(self, plane: int, total: _Sum) -> NDArray[np.float32]:
        """How similar each token is to anything labelled, (h, w)."""
        if total.best is None:
            tokens, rows = self.tokens(plane), self.voters.rows()
            best = best_similarity(self._flat(tokens), rows)
            total.best = best.reshape(tokens.shape[:2])
        return total.best

    def tokens(self, plane: int) -> NDArray[np.floating[Any]]:
        """Tokens (h, w, D) of a plane, which must have been computed.

        Of a large plane they are float16, and may lie on disk.
        """
        tokens = self.store.plane(plane)
        if tokens is None:
            raise RetrieveError("The tokens of this plane are not computed yet.")
        return tokens

    def _single(self, plane: int) -> NDArray[np.float32]:
        return self.tokens(plane).astype(np.float32, copy=False)

    def _flat(self, tokens: NDArray[np.floating[Any]]) -> Tensor:
        """Tokens (…, D) as (n, D)."""
        import torch

        return torch.from_numpy(tokens.reshape(-1, tokens.shape[-1]))


def _even(box: BBox, shape: tuple[int, int]) -> BBox:
    """A box (y0, x0, y1, x1) grown to multiples of `EVEN`, or to the plane's end."""
    low = (k // EVEN * EVEN for k in box[:2])
    high = (min(-(-k // EVEN) * EVEN, n) for k, n in zip(box[2:], shape, strict=True))
    return (*low, *high)  # type: ignore[return-value]
