"""What a session learns from its strokes: labels, and where to ask next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.session._core import SessionCore
from napari_sesami.session._errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.models import TokenEncoder
    from napari_sesami.retrieve import Retriever, TokenStore
    from napari_sesami.suggest import Query

    Progress = Callable[[int, int], None]
    Cancelled = Callable[[], bool]

ZOOMS = (1.0, 0.5, 2.0)
SMALL = 1 << 20  # pixels of a plane up to which reading it at twice its size is tried
POOL = 16  # planes that are searched for queries unless the caller names them
SUPERPIXEL = 24  # pixels


@dataclass(frozen=True)
class Segmentation:
    """Labels of the planes asked for.

    Attributes
    ----------
    planes
        Their numbers, in the order of the arrays.
    labels
        (n, y, x) uint8 class ids.
    votes
        (n, y, x, C) float32 probabilities; channel k is class k + 1.
    novelty
        (n, y, x) float32; high where nothing like it was painted.
    """

    planes: tuple[int, ...]
    labels: NDArray[np.uint8]
    votes: NDArray[np.float32]
    novelty: NDArray[np.float32]


class SessionRetrieval(SessionCore):
    """Segmenting by retrieval, on top of what can be painted."""

    _retriever: Retriever | None = None
    _encoder: TokenEncoder | None = None
    _stores: dict[float, TokenStore] | None = None

    def segment(
        self,
        planes: Iterable[int] | int | None = None,
        *,
        zoom: float | None = None,
        refine: bool = True,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Segmentation:
        """Label planes by what is painted anywhere in the scan.

        Parameters
        ----------
        planes
            Numbers of planes; by default those with strokes.
        zoom
            Scale at which the scan is read; by default the one at which strokes are
            told apart best.
        refine
            Sharpen along image edges and with the grey levels of the strokes.
        progress, cancelled
            `progress(done, all)` counts planes; a cancelled call raises.
        """
        wanted = self._planes_asked(planes)
        retriever = self.retriever(zoom, cancelled)
        parts = []
        for i, plane in enumerate(wanted):
            self._tokens(retriever.store, plane, cancelled)
            parts.append(retriever.segment(plane, refine=refine))
            if progress is not None:
                progress(i + 1, len(wanted))
        return Segmentation(
            tuple(wanted),
            np.stack([p.labels for p in parts]),
            np.stack([p.votes for p in parts]),
            np.stack([p.novelty for p in parts]),
        )

    def suggest(
        self,
        n: int = 10,
        planes: Iterable[int] | None = None,
        *,
        kind: str = "superpixel",
        cancelled: Cancelled | None = None,
    ) -> list[Query]:
        """Where a label would teach most: ranked regions that do not overlap.

        Parameters
        ----------
        n
            How many.
        planes
            Where to look; by default up to 16 planes spread over the scan.
        kind
            "superpixel", or "patch" for squares of 128 pixels.
        cancelled
            Asked now and then; a cancelled call raises.
        """
        from napari_sesami import suggest as room

        if kind not in ("superpixel", "patch"):
            raise SessionError(f'kind is "superpixel" or "patch"; {kind!r} was given.')
        pool = self._pool() if planes is None else self._planes_asked(planes)
        maps = {p: self.segment(p, cancelled=cancelled, refine=False) for p in pool}
        classes = max(m.votes.shape[-1] for m in maps.values())
        predicted = np.zeros(classes)
        for found in maps.values():
            predicted += np.bincount(found.labels.ravel(), minlength=classes + 1)[1:]
        labelled = self._painted(classes)
        queries: list[Query] = []
        for plane, found in maps.items():
            votes = found.votes[0]
            scores = room.score(
                votes, found.novelty[0], predicted=predicted, labelled=labelled
            )
            image = self.scan.grey(plane)
            regions = (
                room.superpixels(image, SUPERPIXEL, self.scan.ignore)
                if kind == "superpixel"
                else room.patches(image.shape)
            )
            done = self._work.layers["strokes"].read(plane) > 0
            queries += room.score_regions(
                scores,
                votes,
                regions,
                plane,
                "patch" if kind == "patch" else "superpixel",
                done,
            )[: 4 * n]
        return room.spread(queries, n)

    def retriever(
        self, zoom: float | None = None, cancelled: Cancelled | None = None
    ) -> Retriever:
        """Bring the retriever up to date with the strokes, by differences.

        A token encoder other than the bundled one is set as `token_encoder`.
        """
        from napari_sesami.retrieve import Retriever

        strokes = self._stroke_planes()
        if not strokes:
            raise SessionError(
                "Nothing is painted yet: paint a stroke of each class, then segment."
            )
        for plane, *_ in strokes:
            self._tokens(self._store(zoom or 1.0), plane, cancelled)
        store = self._store(
            self._best_zoom(strokes, cancelled) if zoom is None else zoom
        )
        if self._retriever is None or self._retriever.store is not store:
            self._retriever = Retriever(store, self._top_class())
        painted = {plane for plane, *_ in strokes}
        for plane in {
            int(p) for _, rows in self._retriever.bank for p in rows.where[:, 0]
        }:
            if plane not in painted:
                nothing = np.zeros(self.scan.plane_shape, np.uint8)
                self._retriever.set_strokes(plane, nothing, nothing.astype(np.int64))
        changed = [
            stroke
            for plane, classes, owners in strokes
            for stroke in self._retriever.set_strokes(plane, classes, owners)
        ]
        if changed:
            self._retriever.tune()
        return self._retriever

    @property
    def token_encoder(self) -> TokenEncoder:
        """What turns patches into tokens; the bundled encoder unless another is set."""
        if self._encoder is None:
            from napari_sesami.models import load_token_encoder

            self._encoder = load_token_encoder()
        return self._encoder

    @token_encoder.setter
    def token_encoder(self, encoder: TokenEncoder) -> None:
        self._encoder, self._retriever, self._stores = encoder, None, None

    # --- inside

    def _store(self, zoom: float) -> TokenStore:
        from napari_sesami._home import home
        from napari_sesami.retrieve import TokenStore

        if self._stores is None:
            self._stores = {}
        if zoom not in self._stores:
            folder = home() / "cache" / "tokens"
            self._stores[zoom] = TokenStore(
                self.scan, self.token_encoder, zoom=zoom, folder=folder
            )
        return self._stores[zoom]

    def _tokens(
        self, store: TokenStore, plane: int, cancelled: Cancelled | None
    ) -> None:
        if store.plane(plane, cancelled=cancelled) is None:
            from napari_sesami.models import Cancelled as Stopped

            raise Stopped("Segmenting was stopped.")

    def _best_zoom(
        self,
        strokes: Sequence[tuple[int, NDArray[np.uint8], NDArray[np.int64]]],
        cancelled: Cancelled | None,
    ) -> float:
        from napari_sesami.retrieve import choose_zoom

        zooms = ZOOMS if np.prod(self.scan.plane_shape) <= SMALL else ZOOMS[:2]
        if not _two_of_each(strokes):
            return zooms[0]
        for zoom in zooms:
            for plane, *_ in strokes:
                self._tokens(self._store(zoom), plane, cancelled)
        return choose_zoom(self._store, strokes, zooms)[0]

    def _stroke_planes(
        self,
    ) -> list[tuple[int, NDArray[np.uint8], NDArray[np.int64]]]:
        layer = self._work.layers["strokes"]
        found = []
        for plane in layer.planes:
            classes = np.asarray(layer.read(plane))
            if classes.any():
                found.append((plane, classes, stroke_owners(classes, plane)))
        return found

    def _planes_asked(self, planes: Iterable[int] | int | None) -> list[int]:
        if planes is None:
            return [plane for plane, *_ in self._stroke_planes()] or [0]
        wanted = [planes] if isinstance(planes, int | np.integer) else list(planes)
        bad = [p for p in wanted if not 0 <= int(p) < self.scan.n_planes]
        if bad or not wanted:
            raise SessionError(
                f"{self.scan.name} has planes 0 to {self.scan.n_planes - 1}; "
                f"{bad[0] if bad else 'none'} was asked for."
            )
        return [int(p) for p in wanted]

    def _pool(self) -> list[int]:
        n = self.scan.n_planes
        even = {round(i) for i in np.linspace(0, n - 1, min(n, POOL))}
        return sorted(even)

    def _painted(self, classes: int) -> NDArray[np.float64]:
        total = np.zeros(classes)
        for _, strokes, _ in self._stroke_planes():
            total += np.bincount(strokes.ravel(), minlength=classes + 1)[
                1 : classes + 1
            ]
        return total

    def _top_class(self) -> int:
        return max((entry.id for entry in self._work.classes), default=1)


def stroke_owners(classes: NDArray[np.uint8], plane: int) -> NDArray[np.int64]:
    """Name every stroke: painted pixels of one class that hang together.

    The name is the place of the first pixel, so undoing an edit gives the same names.
    """
    from skimage.measure import label

    owners = np.zeros(classes.shape, np.int64)
    rows = np.flatnonzero(classes.any(1))
    if not len(rows):
        return owners
    columns = np.flatnonzero(classes.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    parts: Any = label(classes[box], background=0, connectivity=2)
    ids, first = np.unique(parts, return_index=True)
    y, x = np.unravel_index(first, parts.shape)
    width = classes.shape[1]
    names = plane * classes.size + (y + rows[0]) * width + (x + columns[0]) + 1
    names[ids == 0] = 0
    owners[box] = names[np.searchsorted(ids, parts)]
    return owners


def _two_of_each(
    strokes: Sequence[tuple[int, NDArray[np.uint8], NDArray[np.int64]]],
) -> bool:
    """Whether at least two classes have two strokes, so that scales can be compared."""
    pairs = [
        np.unique(np.stack([classes[owners > 0], owners[owners > 0]]), axis=1)
        for _, classes, owners in strokes
    ]
    counts = np.bincount(np.concatenate(pairs, axis=1)[0]) if pairs else np.zeros(0)
    return int((counts >= 2).sum()) >= 2
