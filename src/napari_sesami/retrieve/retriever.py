"""Retriever: strokes in, labels out, kept up to date by differences."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from napari_sesami.retrieve.painted import PaintedPixels, differing
from napari_sesami.retrieve.pixel_features import at_pixels, spaced
from napari_sesami.retrieve.pixel_forest import PixelForest, joined
from napari_sesami.retrieve.plane_labels import Labelled
from napari_sesami.retrieve.upsample import (
    Guide,
    nothing,
    quick_labels,
    upsample,
)
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
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sesami.common.box import BBox
    from napari_sesami.retrieve.overlap import Choice
    from napari_sesami.retrieve.pixel_forest import PixelSamples, Trees
    from napari_sesami.retrieve.published import PublishedMethod
    from napari_sesami.retrieve.token_store import TokenStore
    from napari_sesami.retrieve.upsample import Check


KEPT = 2  # planes whose running votes stay in memory; others are counted again
REACH = 3  # pixels over which a border may be moved to an edge of the image
STRIP = 512  # rows of a plane too large for whole maps that are refined at a time
MARGIN = 64  # rows around them that the filters may look at
WHOLE = 1 << 25  # pixels of a plane up to which its maps are made whole
EVEN = 64  # pixels: boxes that are decided alone begin at multiples
ELSEWHERE = -1
"""Plane of rows that come from another scan."""


@dataclass
class _Sum:
    """Running votes of one plane, and how similar each token is to anything labelled.

    A maximum cannot be taken back: after a stroke went, `best` is None until asked for.
    """

    votes: NDArray[np.float64]
    best: NDArray[np.float32] | None = None


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
        self._guide: tuple[int, Guide] | None = None
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
        votes, total = self._probability(plane)
        best = self._best(plane, total)
        shape, patch = self.store.scan.plane_shape, self.store.patch
        step, mixed = patch, with_area(votes)
        if pixels:
            step, mixed = self._mixed(plane, votes, check, not refine)
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

        A plane of more than `WHOLE` pixels is decided strip by strip, so that memory
        does not grow with maps of all its pixels.
        """
        shape = self.store.scan.plane_shape
        if shape[0] * shape[1] <= WHOLE:
            return self.segment(plane, refine=refine, check=check).labels
        votes = self._probability(plane)[0]
        step, mixed = self._mixed(plane, votes, check, not refine)
        if not refine:
            return self._unmasked(quick_labels(mixed, shape, step))
        out = np.empty(shape, np.uint8)
        for start in range(0, shape[0], STRIP):
            check()
            stop = min(start + STRIP, shape[0])
            first, last = max(0, start - MARGIN), min(stop + MARGIN, shape[0])
            part = mixed[first // step : -(-last // step)]
            said = upsample(part, (last - first, shape[1]), step)
            image = self.store.scan.grey(plane, (first, 0, last, shape[1]))
            guide = Guide(image, REACH, step=2)
            for c in range(said.shape[-1]):
                said[..., c] = guide.filter(said[..., c])
            own = said[start - first : stop - first]
            out[start:stop] = own.argmax(-1).astype(np.uint8) + np.uint8(1)
        return self._unmasked(out)

    def quick(
        self,
        plane: int,
        method: Method = "ours",
        check: Check = nothing,
        box: BBox | None = None,
    ) -> NDArray[np.uint8]:
        """Class ids (H, W) as of ``segment(plane, refine=False)``, and nothing else.

        Of a published method that carries mask patches over, the histograms are
        shown. Pixels outside of a box (y0, x0, y1, x1) need not be decided and may be
        0.
        """
        check_method(method)
        shape, step = self.store.scan.plane_shape, self.store.patch
        if method == "ours":
            if box is not None and self.trees(check) is not None:
                part = _even(box, shape)
                votes = self._probability(plane, part)[0]
                step, probability = self._mixed(plane, votes, check, True, part)
                y0, x0, y1, x1 = part
                labels = np.zeros(shape, np.uint8)
                labels[y0:y1, x0:x1] = quick_labels(
                    probability, (y1 - y0, x1 - x0), step
                )
                return self._unmasked(labels)
            votes = self._probability(plane)[0]
            step, probability = self._mixed(plane, votes, check, True)
        else:
            how, rows = self.settings(method), self.voters.rows()
            tokens = self._single(plane)
            probability = token_shares(tokens, rows, self._n_classes, method, how)
        return self._unmasked(quick_labels(probability, shape, step))

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

    def _probability(
        self, plane: int, box: BBox | None = None
    ) -> tuple[NDArray[np.float32], _Sum]:
        """Probabilities (h, w, C) of the tokens of a plane.

        If its votes were not counted yet, those outside of a box (y0, x0, y1, x1) in
        pixels need not be.
        """
        if len(self.voters.rows()) == 0:
            raise RetrieveError(
                "Nothing is labelled yet: paint a stroke of each class first."
            )
        total = self._sums.get(plane)
        if total is None and box is not None:
            total = self._count(plane, box)
        else:
            total = self._sum(plane)
        mass = self.voters.mass(self._n_classes, self.temper)
        return balanced(total.votes, mass, self.temper), total

    def _published(self, plane: int, method: PublishedMethod, check: Check) -> Labelled:
        how, rows, tokens = (
            self.settings(method),
            self.voters.rows(),
            self._single(plane),
        )
        shape, n = self.store.scan.plane_shape, self._n_classes
        pixels = pixel_shares(tokens, rows, n, method, how, shape, check)
        flat, grid = self._flat(plane)
        best = best_similarity(flat, rows).reshape(*grid, 1)
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
        check: Check,
        quick: bool,
        box: BBox | None = None,
    ) -> tuple[int, NDArray[np.float32]]:
        """Step of a grid, and probabilities (h, w, C) there: of votes and pixels."""
        patch, trees = self.store.patch, self.trees(check)
        if trees is None:
            return patch, with_area(votes)
        n = votes.shape[-1]
        said = self.evidence.decide(plane, trees, n, check, quick=quick, box=box)
        step, shape = self.evidence.step(quick), self.store.scan.plane_shape
        y0, x0, y1, x1 = box or (0, 0, *shape)
        rows = spaced(shape[0], step)[y0 // step : -(-y1 // step)]
        columns = spaced(shape[1], step)[x0 // step : -(-x1 // step)]
        y, x = np.meshgrid(rows, columns, indexing="ij")
        there = at_pixels(votes.transpose(2, 0, 1), patch, y.ravel(), x.ravel())
        both = joined(said, there.reshape(said.shape))
        return step, by_share(both, mean_share(both))

    def _guide_of(self, plane: int) -> Guide:
        if self._guide is None or self._guide[0] != plane:
            guide = Guide(self.store.scan.grey(plane), REACH, step=2)
            self._guide = (plane, guide)
        return self._guide[1]

    def _sum(self, plane: int) -> _Sum:
        """Running votes of a plane, counted afresh the first time it is asked for."""
        total = self._sums.get(plane)
        if total is None or total.votes.shape[-1] != self._n_classes:
            tokens = self.tokens(plane)
            total = _Sum(np.zeros((*tokens.shape[:2], self._n_classes)))
            self._add(plane, total, self.voters.rows(), +1, fresh=True)
            self._sums[plane] = total
        return total

    def _count(self, plane: int, box: BBox) -> _Sum:
        """Votes of the tokens around a box of a plane alone; none are remembered."""
        import torch

        tokens, patch = self.tokens(plane), self.store.patch
        low = (max(0, k // patch - 1) for k in box[:2])
        high = (-(-k // patch) + 1 for k in box[2:])
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        asked = np.ascontiguousarray(tokens[part], np.float32)
        rows = self.voters.rows()
        flat = torch.from_numpy(asked.reshape(-1, asked.shape[-1]))
        votes, _ = count_votes(flat, rows, self._n_classes, self.temper)
        total = _Sum(np.zeros((*tokens.shape[:2], self._n_classes)))
        total.votes[part] = votes.reshape(*asked.shape[:2], -1)
        return total

    def _vote(self, stroke: int, rows: Rows | None, sign: int) -> None:
        rows = None if rows is None else self.voters.of(stroke, rows)
        if rows is None or len(rows) == 0 or stroke in self.bank.off:
            return
        for plane, total in list(self._sums.items()):
            if total.votes.shape[-1] != self._n_classes:
                del self._sums[plane]  # a class was added: counted afresh when needed
            else:
                self._add(plane, total, rows, sign)

    def _add(
        self, plane: int, total: _Sum, rows: Rows, sign: int, fresh: bool = False
    ) -> None:
        flat, shape = self._flat(plane)
        votes, best = count_votes(flat, rows, self._n_classes, self.temper)
        total.votes += sign * votes.reshape(total.votes.shape)
        if fresh:
            total.best = best.reshape(shape)
        elif sign > 0 and total.best is not None:
            total.best = np.maximum(total.best, best.reshape(shape))
        else:
            total.best = None

    def _best(self, plane: int, total: _Sum) -> NDArray[np.float32]:
        if total.best is None:
            flat, shape = self._flat(plane)
            total.best = best_similarity(flat, self.voters.rows()).reshape(shape)
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

    def _flat(self, plane: int) -> tuple[Tensor, tuple[int, int]]:
        import torch

        tokens = self.tokens(plane)
        return torch.from_numpy(tokens.reshape(-1, tokens.shape[-1])), tokens.shape[:2]


def _even(box: BBox, shape: tuple[int, int]) -> BBox:
    """A box (y0, x0, y1, x1) grown to multiples of `EVEN`, or to the plane's end."""
    low = (k // EVEN * EVEN for k in box[:2])
    high = (min(-(-k // EVEN) * EVEN, n) for k, n in zip(box[2:], shape, strict=True))
    return (*low, *high)  # type: ignore[return-value]
