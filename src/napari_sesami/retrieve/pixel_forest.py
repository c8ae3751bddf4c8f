"""What strokes say of single pixels: two small forests on looks and tokens.

Votes know what a patch resembles; they cannot see where in the patch a border runs, and
they weigh all of a token's channels alike. Extremely randomised trees (Geurts, Ernst
and Wehenkel, 2006) add both: some learn what stroked pixels look like, as many others
that and the tokens around them, and their answers are multiplied. They are fitted anew,
in a tenth of a second, from the strokes as they are: nothing of an erased stroke stays,
and the same strokes give the same bits, however many threads work. Features are
float32 and depend on the processor within 1e-5; of single pixels, not of votes, another
class may win there. Numbers were chosen by `scripts/choose_evidence.py`.
"""

from __future__ import annotations

import math
import warnings
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import entr

from napari_sesami.common.recent import Recent
from napari_sesami.retrieve.pixel_features import (
    N_LOOKS,
    at_pixels,
    looks_of,
    priority,
    spaced,
)
from napari_sesami.retrieve.pixel_features import TILE as LOOKS_TILE
from napari_sesami.retrieve.threads import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Set

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.retrieve.painted import PaintedPixels
    from napari_sesami.retrieve.token_store import TokenStore
    from napari_sesami.retrieve.upsample import Check

    Painted = Mapping[tuple[int, int], PaintedPixels]

PER_CLASS = 1500  # pixels that are learned from; more bring nothing but time
TREES, LEAF = 20, 2  # of each forest
FEW = 8  # of them answer while the brush is at work
TILE = 512  # pixels: what is decided between two looks at the cancel button
# pixels of a plane up to which every second row and column is decided, while the brush
# is at work and with fine borders: thin lines are lost between wider ones
FINE, FINE_BORDERS = 1 << 19, 1 << 20
MIDDLE = 1 << 21  # … every fourth while the brush is at work; every eighth above
KEPT = 256 << 20  # bytes of described pixels in memory
EASE = 0.03  # no tree and no vote is ever quite sure
VOTES = 0.4  # weight of the votes against the forests'
CALM = 0.75  # power of their product: two forests see the same strokes, not two worlds


@dataclass(frozen=True)
class PixelSamples:
    """Stroked pixels as the trees see them.

    Attributes
    ----------
    features
        (n, N_LOOKS + token channels).
    classes
        (n,) class ids.
    stroke
        (n,) the stroke that painted each.
    """

    features: NDArray[np.float32]
    classes: NDArray[np.uint8]
    stroke: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, which: NDArray[Any]) -> PixelSamples:
        """Some of them."""
        return PixelSamples(
            self.features[which], self.classes[which], self.stroke[which]
        )

    @staticmethod
    def join(parts: list[PixelSamples]) -> PixelSamples:
        """All of them, in order."""
        return PixelSamples(
            np.concatenate([p.features for p in parts]),
            np.concatenate([p.classes for p in parts]),
            np.concatenate([p.stroke for p in parts]),
        )


class PixelForest:
    """Learns from stroked pixels and decides pixels of any plane of the scan.

    Parameters
    ----------
    store
        The scan's tokens.
    """

    def __init__(self, store: TokenStore) -> None:
        self.store = store
        self._foreign: PixelSamples | None = None
        self._tiles: Recent[tuple[int, ...], NDArray[np.float16]] = Recent(
            KEPT, lambda described: described.nbytes
        )
        self._known: dict[int, tuple[NDArray[np.intp], NDArray[np.float16]]] = {}
        self._fitted: tuple[Any, Trees | None] | None = None

    def step(self, quick: bool = False) -> int:
        """Every how manieth row and column is decided; the image tells the rest."""
        pixels = np.prod(self.store.scan.plane_shape)
        if pixels <= (FINE if quick else FINE_BORDERS):
            return 2
        return 8 if quick and pixels > MIDDLE else 4

    def teach(self, samples: PixelSamples) -> None:
        """Learn from pixels of another scan of the same pixel size."""
        parts = [] if self._foreign is None else [self._foreign]
        self._foreign, self._fitted = PixelSamples.join([*parts, samples]), None

    def samples(self, painted: Painted, off: Set[int], check: Check) -> PixelSamples:
        """The stroked pixels that are learned from, at most `PER_CLASS` of each class.

        Parameters
        ----------
        painted
            Strokes and owners by plane and level.
        off
            Strokes that are silent.
        check
            Called now and then; what it raises ends the work.
        """
        planes, pixels, classes, owners = _stroked(painted, off)
        kept = _thinned(planes, pixels, classes)
        planes, pixels = planes[kept], pixels[kept]
        width = N_LOOKS + self.store.encoder.dim
        features = np.zeros((len(kept), width), np.float32)
        for plane in np.unique(planes):
            here = planes == plane
            features[here] = self._kept(int(plane), pixels[here], check)
        mine = PixelSamples(features, classes[kept], owners[kept])
        if self._foreign is None:
            return mine
        heard = ~np.isin(self._foreign.stroke, sorted(off))
        return PixelSamples.join([mine, self._foreign.take(heard)])

    def learn(
        self, painted: Painted, off: Set[int], version: Any, check: Check
    ) -> Trees | None:
        """Forests of the strokes as they are; None below two classes.

        `version` changes with the strokes: what was learned of one is kept.
        """
        if self._fitted is None or self._fitted[0] != version:
            samples = self.samples(painted, off, check)
            two = len(np.unique(samples.classes)) > 1
            self._fitted = (version, Trees(samples) if two else None)
        return self._fitted[1]

    def ready(self, trees: Trees, quick: bool) -> None:
        """Grow what `decide` will ask, so that threads may ask at the same time."""
        trees.grow(FEW if quick else TREES)

    def decide(
        self,
        plane: int,
        trees: Trees,
        n_classes: int,
        check: Check,
        *,
        quick: bool = False,
        box: BBox | None = None,
    ) -> NDArray[np.float32]:
        """Probabilities (h, w, C) at every `step`-th pixel of a plane.

        Classes of which no pixel was seen get −1. Of a box (y0, x0, y1, x1), whose
        sides lie on multiples of the step or end with the plane, its part is given.
        """
        few = FEW if quick else TREES
        trees.grow(few)

        def ask(features: NDArray[np.float32]) -> NDArray[np.float32]:
            return trees.ask(features, few)

        said = self._answers(plane, self.step(quick), box, ask, check)
        out = np.full((*said.shape[:2], n_classes), -1, np.float32)
        out[..., trees.classes - 1] = said
        return out

    def disagreement(
        self, plane: int, trees: Trees, check: Check
    ) -> NDArray[np.float32]:
        """How far single trees contradict each other, (h, w) in [0, 1], as `quick`."""
        trees.grow(FEW)
        return self._answers(plane, self.step(True), None, trees.quarrel, check)[..., 0]

    def _answers(
        self,
        plane: int,
        step: int,
        box: BBox | None,
        ask: Callable[[NDArray[np.float32]], NDArray[np.float32]],
        check: Check,
    ) -> NDArray[np.float32]:
        """What `ask` says of the features (n, F) of a grid, tile by tile: (h, w, K)."""
        y0, x0, y1, x1 = box or (0, 0, *self.store.scan.plane_shape)
        places = [
            (y, x, min(y + TILE, y1), min(x + TILE, x1))
            for y in range(y0, y1, TILE)
            for x in range(x0, x1, TILE)
        ]
        # those of one tile of looks after each other: it is described once
        places.sort(key=lambda at: (at[0] // LOOKS_TILE, at[1] // LOOKS_TILE))

        def answer(place: BBox) -> NDArray[np.float32]:
            check()
            described = self._tile(plane, step, place, check)
            return ask(described.astype(np.float32))

        with closing(in_order(answer, places)) as answers:
            found = list(answers)
        h, w = -(-(y1 - y0) // step), -(-(x1 - x0) // step)
        out = np.empty((h, w, found[0].shape[-1]), np.float32)
        for (top, left, bottom, right), said in zip(places, found, strict=True):
            rows = slice((top - y0) // step, -(-(bottom - y0) // step))
            columns = slice((left - x0) // step, -(-(right - x0) // step))
            there = out[rows, columns]
            there[...] = said.reshape(there.shape)
        return out

    def _tile(
        self, plane: int, step: int, place: BBox, check: Check
    ) -> NDArray[np.float16]:
        """Features (n, F) of the grid inside of a box."""
        at = (plane, step, *place)
        found = self._tiles.get(at)
        if found is None:
            shape = self.store.scan.plane_shape
            rows, columns = (
                spaced(side, step)[start // step : -(-end // step)]
                for side, start, end in zip(shape, place[:2], place[2:], strict=True)
            )
            looks = looks_of(self.store.scan, plane)
            seen = looks.grid(rows, columns, check).reshape(-1, N_LOOKS)
            y, x = np.meshgrid(rows, columns, indexing="ij")
            tokens = self._tokens(plane, y.ravel(), x.ravel())
            found = np.concatenate([seen, tokens], axis=1, dtype=np.float16)
            asked = {
                step,
                self.step(True),
            }  # of a large plane, what is asked soon stays
            most = sum(math.prod(shape) // k**2 for k in asked) * found.shape[1] * 2
            if step == self.step(True) or most <= KEPT:
                self._tiles[at] = found
        return found

    def _tokens(
        self, plane: int, y: NDArray[np.intp], x: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        tokens, patch = self.store.plane(plane), self.store.patch
        assert tokens is not None  # votes were counted on them
        return at_pixels(tokens.transpose(2, 0, 1), patch, y, x)

    def describe(
        self, plane: int, pixels: NDArray[np.intp], check: Check
    ) -> NDArray[np.float16]:
        """Features of single pixels, as precisely as what is decided."""
        y, x = np.divmod(pixels, self.store.scan.plane_shape[1])
        looks = looks_of(self.store.scan, plane).at(y, x, check)
        fresh = np.concatenate([looks, self._tokens(plane, y, x)], axis=1)
        return fresh.astype(np.float16)

    def _kept(
        self, plane: int, pixels: NDArray[np.intp], check: Check
    ) -> NDArray[np.float16]:
        """Features of stroked pixels; those asked before are not described again."""
        width = N_LOOKS + self.store.encoder.dim
        empty = (np.zeros(0, np.intp), np.zeros((0, width), np.float16))
        known, values = self._known.get(plane, empty)
        new = np.setdiff1d(pixels, known)
        if len(new):
            fresh = self.describe(plane, new, check)
            known, values = np.append(known, new), np.concatenate([values, fresh])
            order = np.argsort(known)
            known, values = known[order], values[order]
        found = values[np.searchsorted(known, pixels)]
        used = np.isin(known, pixels)  # what was erased is let go of
        self._known[plane] = (known[used], values[used])
        return found


class Trees:
    """Two forests on the same stroked pixels: of looks alone, and of all features.

    Trees are grown when they are asked; the first ones are the same however many
    follow.

    Attributes
    ----------
    classes
        Class ids that they know, ascending.
    """

    def __init__(self, samples: PixelSamples) -> None:
        from sklearn.ensemble import ExtraTreesClassifier

        counts = np.bincount(samples.classes)[samples.classes]
        # a leaf holds two pixels at least: a class of one is counted several times
        times = np.where(counts < 2 * LEAF, -(-2 * LEAF // counts), 1)
        self._samples = samples.take(np.repeat(np.arange(len(samples)), times))
        self.classes = np.unique(samples.classes).astype(int)
        self._forests = [
            ExtraTreesClassifier(
                0,
                min_samples_leaf=LEAF,
                class_weight="balanced",
                random_state=seed,
                warm_start=True,
            )
            for seed in range(2)
        ]

    def grow(self, number: int) -> None:
        """Let each forest have so many trees at least."""
        x, y = self._samples.features, self._samples.classes
        for forest, width in zip(self._forests, (N_LOOKS, x.shape[1]), strict=True):
            if forest.n_estimators < number:
                forest.n_estimators = number
                with warnings.catch_warnings():
                    # the weights are those of all samples, as they should be
                    warnings.filterwarnings("ignore", message="class_weight presets")
                    forest.fit(x[:, :width], y)

    def ask(self, features: NDArray[np.float32], number: int) -> NDArray[np.float32]:
        """Probabilities (n, known classes) by the first trees of each forest."""
        product = np.ones((len(features), len(self.classes)))
        for forest, width in zip(
            self._forests, (N_LOOKS, features.shape[1]), strict=True
        ):
            own = np.ascontiguousarray(features[:, :width])
            said = np.zeros_like(product)
            for tree in forest.estimators_[:number]:
                said += tree.tree_.predict(own)
            product *= said / number + EASE
        product /= product.sum(1, keepdims=True)
        return product.astype(np.float32)

    def quarrel(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mutual information of the first trees' answers (BALD), (n, 1) in [0, 1]."""
        mean = np.zeros((len(features), len(self.classes)))
        alone = np.zeros(len(features))
        for forest, width in zip(
            self._forests, (N_LOOKS, features.shape[1]), strict=True
        ):
            own = np.ascontiguousarray(features[:, :width])
            for tree in forest.estimators_[:FEW]:
                said = tree.tree_.predict(own)
                mean += said
                alone += entr(said).sum(1)
        number = 2 * FEW
        shared = entr(mean / number).sum(1) - alone / number
        shared /= np.log(len(self.classes))
        return np.clip(shared, 0, 1).astype(np.float32)[:, None]

    def steps(self, features: NDArray[np.float32]) -> tuple[int, NDArray[np.float64]]:
        """Class id of one pixel (1, F), and what each feature did for it, (F,)."""
        self.grow(TREES)
        best = int(self.ask(features, TREES)[0].argmax())
        done = np.zeros(features.shape[1])
        for forest, width in zip(self._forests, (N_LOOKS, len(done)), strict=True):
            own = np.ascontiguousarray(features[:, :width])
            for tree in forest.estimators_:
                path = tree.tree_.decision_path(own).indices  # ascending: root first
                likely = tree.tree_.value[path, 0, best]
                np.add.at(done, tree.tree_.feature[path[:-1]], np.diff(likely))
        return int(self.classes[best]), done / (2 * TREES)


def joined(
    said: NDArray[np.float32], votes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Probabilities of trees and votes together, both (h, w, C).

    Of a class that no tree knows (−1 in `said`) the votes alone decide.
    """
    unknown = (said < 0).all((0, 1))
    if unknown.any():
        left = 1 - votes[..., unknown].sum(-1, keepdims=True)
        said = np.where(unknown, votes, said * left)
    both = ((said + EASE) * (votes + EASE) ** VOTES) ** CALM
    total: NDArray[np.float32] = both / both.sum(-1, keepdims=True)
    return total


def _stroked(
    painted: Painted, off: Set[int]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Plane, pixel, class and owner of all that is painted and not silent."""
    parts = []
    for (plane, _), here in sorted(painted.items(), key=lambda p: p[0]):
        silent = np.isin(here.owners, sorted(off))
        said = here.take(~silent) if off else here
        classes = said.classes.astype(np.uint8)
        parts.append((np.full(len(said), plane), said.pixels, classes, said.owners))
    if not parts:
        none = np.zeros(0, np.int64)
        return none, none, none.astype(np.uint8), none
    planes, pixels, classes, names = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return planes, pixels, classes, names


def _thinned(
    planes: NDArray[Any], pixels: NDArray[Any], classes: NDArray[Any]
) -> NDArray[np.intp]:
    """Which stroked pixels are learned from: ascending positions."""
    rank = priority(planes, pixels)
    kept = []
    for c in np.unique(classes):
        own = np.flatnonzero(classes == c)
        if len(own) > PER_CLASS:
            own = own[np.argpartition(rank[own], PER_CLASS)[:PER_CLASS]]
        kept.append(own)
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.intp)
