"""What strokes say of single pixels: a few trees on looks and tokens, fitted at once.

Votes know what a patch resembles; they cannot see where in the patch a border runs, and
they weigh all of a token's channels alike. Some dozens of extremely randomised trees
(Geurts, Ernst and Wehenkel, 2006) on the looks of stroked pixels and the tokens around
them add both. They are fitted anew, in a tenth of a second, from the strokes as they
are: nothing of an erased stroke stays. Features are float32 and depend on the
processor within 1e-5; of single pixels, not of votes, another class may win there.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.retrieve.pixel_features import (
    N_LOOKS,
    PixelFeatures,
    at_pixels,
    priority,
    spaced,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from numpy.typing import NDArray

    from napari_sesami.retrieve.painted import PaintedPixels
    from napari_sesami.retrieve.token_store import TokenStore
    from napari_sesami.retrieve.upsample import Check

    Painted = Mapping[tuple[int, int], PaintedPixels]

PER_CLASS = 1500  # pixels that are learned from; more bring nothing but time
TREES, LEAF = 20, 2
BAND = 1 << 15  # pixels decided between two looks at the cancel button
FINE = 1 << 19  # pixels of a plane up to which every second row and column is decided
KEPT = 2  # planes whose pixels stay described in memory
EASE = 0.02  # no tree and no vote is ever quite sure
VOTES = 0.4  # weight of the votes against the trees'


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
        self._looks: OrderedDict[int, tuple[PixelFeatures, list[NDArray[np.float16]]]]
        self._looks = OrderedDict()
        self._known: dict[int, tuple[NDArray[np.intp], NDArray[np.float16]]] = {}
        self._fitted: tuple[Any, Any] | None = None

    @property
    def step(self) -> int:
        """Every how manieth row and column is decided; the image tells the rest."""
        return 2 if np.prod(self.store.scan.plane_shape) <= FINE else 4

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
            features[here] = self._features(int(plane), pixels[here], check)
        mine = PixelSamples(features, classes[kept], owners[kept])
        if self._foreign is None:
            return mine
        heard = ~np.isin(self._foreign.stroke, sorted(off))
        return PixelSamples.join([mine, self._foreign.take(heard)])

    def decide(
        self,
        plane: int,
        painted: Painted,
        off: Set[int],
        n_classes: int,
        version: Any,
        check: Check,
    ) -> NDArray[np.float32] | None:
        """Probabilities (h, w, C) at every `step`-th pixel; None below two classes.

        Classes of which no pixel was seen get −1. `version` changes with the strokes.
        """
        if self._fitted is None or self._fitted[0] != version:
            self._fitted = (version, _fit(self.samples(painted, off, check)))
        trees = self._fitted[1]
        if trees is None:
            return None
        shape = self.store.scan.plane_shape
        rows, columns = (spaced(side, self.step) for side in shape)
        out = np.full((len(rows), len(columns), n_classes), -1, np.float32)
        seen = trees.classes_.astype(int) - 1
        band = max(1, BAND // len(columns))
        for start in range(0, len(rows), band):
            check()
            part = rows[start : start + band]
            described = self._band(plane, start // band, part, columns, check)
            said = trees.predict_proba(described.astype(np.float32))
            grid = (len(part), len(columns), -1)
            out[start : start + band, :, seen] = said.reshape(grid)
        return out

    def _plane(self, plane: int) -> tuple[PixelFeatures, list[NDArray[np.float16]]]:
        if plane not in self._looks:
            self._looks[plane] = (PixelFeatures(self.store.scan.grey(plane)), [])
            while len(self._looks) > KEPT:
                self._looks.popitem(last=False)
        self._looks.move_to_end(plane)
        return self._looks[plane]

    def _band(
        self,
        plane: int,
        number: int,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        check: Check,
    ) -> NDArray[np.float16]:
        """Features (n, F) of some rows of the grid; bands come in order."""
        looks, bands = self._plane(plane)
        if number == len(bands):
            found = looks.grid(rows, columns, check).reshape(-1, N_LOOKS)
            y, x = np.meshgrid(rows, columns, indexing="ij")
            tokens = self._tokens(plane, y.ravel(), x.ravel())
            bands.append(np.concatenate([found, tokens], axis=1, dtype=np.float16))
        return bands[number]

    def _tokens(
        self, plane: int, y: NDArray[np.intp], x: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        tokens, patch = self.store.plane(plane), self.store.patch
        assert tokens is not None  # votes were counted on them
        return at_pixels(tokens.transpose(2, 0, 1), patch, y, x)

    def _features(
        self, plane: int, pixels: NDArray[np.intp], check: Check
    ) -> NDArray[np.float16]:
        """Features and tokens of single pixels; those asked before are kept."""
        width = N_LOOKS + self.store.encoder.dim
        empty = (np.zeros(0, np.intp), np.zeros((0, width), np.float16))
        known, values = self._known.get(plane, empty)
        new = np.setdiff1d(pixels, known)
        if len(new):
            y, x = np.divmod(new, self.store.scan.plane_shape[1])
            looks = self._plane(plane)[0].at(y, x, check)
            fresh = np.concatenate([looks, self._tokens(plane, y, x)], axis=1)
            fresh = fresh.astype(np.float16)  # as precisely as what is decided
            known, values = np.append(known, new), np.concatenate([values, fresh])
            order = np.argsort(known)
            known, values = known[order], values[order]
        found = values[np.searchsorted(known, pixels)]
        used = np.isin(known, pixels)  # what was erased is let go of
        self._known[plane] = (known[used], values[used])
        return found


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
    both = (said + EASE) * (votes + EASE) ** VOTES
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


def _fit(samples: PixelSamples) -> Any:
    if len(np.unique(samples.classes)) < 2:
        return None
    from sklearn.ensemble import ExtraTreesClassifier

    trees = ExtraTreesClassifier(
        TREES, min_samples_leaf=LEAF, class_weight="balanced", random_state=0
    )
    return trees.fit(samples.features, samples.classes)
