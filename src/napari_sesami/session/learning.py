"""What a session's strokes teach: the retriever that follows them, and banks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.session.document import SessionCore
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.models import TokenEncoder
    from napari_sesami.retrieve import (
        BankFile,
        PixelSamples,
        Retriever,
        Rows,
        TokenStore,
    )

    Cancelled = Callable[[], bool]
    StrokePlane = tuple[int, NDArray[np.uint8], NDArray[np.int64]]
    StrokeLayer = tuple[NDArray[np.uint8], NDArray[np.int64]]

ZOOMS = (1.0, 0.5, 2.0)
SMALL = 1 << 20  # pixels of a plane up to which reading it at twice its size is tried
THUMBNAIL = 32  # pixels


class SessionLearning(SessionCore):
    """Keeps a retriever in step with what is painted."""

    _retriever: Retriever | None = None
    _encoder: TokenEncoder | None = None
    _stores: dict[float, TokenStore] | None = None
    _taught: tuple[Rows, float, PixelSamples | None, int] | None = None
    """Rows and stroked pixels of a bank, the zoom they need here, their patch there."""
    _owned: dict[int, StrokePlane] | None = None
    _untuned = False

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
        self._taught = None

    def retriever(
        self,
        zoom: float | None = None,
        cancelled: Cancelled | None = None,
        *,
        tune: bool = True,
        overlap: bool = False,
    ) -> Retriever:
        """Bring the retriever up to date with the strokes, by differences.

        Parameters
        ----------
        zoom
            Scale at which the scan is read; by default that of a bank that was taught,
            else the one at which strokes are told apart best.
        cancelled
            Asked now and then; a cancelled call raises.
        tune
            Choose the temperature anew if strokes changed. Without, a later call does.
        overlap
            Let strokes speak that others were painted over, too.
        """
        from napari_sesami.retrieve import CAP, Retriever

        strokes = self._stroke_planes()
        if not strokes and self._taught is None:
            raise SessionError(self._nothing_painted())
        if zoom is None:
            zoom = (
                self._taught[1] if self._taught else self._best_zoom(strokes, cancelled)
            )
        store = self._store(zoom)
        for plane, *_ in strokes:
            self._tokens(store, plane, cancelled)
        found = self._retriever
        if found is None or found.store is not store:
            found = self._retriever = Retriever(store, self._top_class())
            if self._taught is not None:
                rows, _, pixels, patch = self._taught
                fit = pixels if patch == store.patch else None
                found.teach(rows, self._top_class(), fit)
        below = self._below(strokes) if overlap else {}
        if _follow(found, strokes, below, self.scan.plane_shape):
            self._untuned = True
        if tune and self._untuned:
            found.tune()
            self._untuned = False
        if tune or (len(found.bank) > CAP and found.voters.condensed is None):
            found.condense(raising(cancelled))
        return found

    def best_zoom(self, cancelled: Cancelled | None = None) -> float:
        """The scale at which the strokes are told apart best, or that of a bank."""
        if self._taught is not None:
            return self._taught[1]
        return self._best_zoom(self._stroke_planes(), cancelled)

    def tokens(
        self,
        plane: int,
        zoom: float = 1.0,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Cancelled | None = None,
    ) -> bool:
        """Compute the tokens of a plane if they are not there; False if cancelled."""
        store = self._store(zoom)
        found = store.plane(plane, progress=progress, cancelled=cancelled)
        return found is not None

    def token_store(self, zoom: float = 1.0) -> TokenStore:
        """The tokens of the scan, read at a scale."""
        return self._store(zoom)

    def stroke_pixels(self, stroke: int) -> tuple[int, BBox, NDArray[np.bool_]] | None:
        """Plane, box (y0, x0, y1, x1) and pixels of a stroke that a reason names."""
        planes = self._stroke_planes()
        below = [(plane, *layer) for plane, layer in self._below(planes).items()]
        for plane, _, owners in planes + below:
            own = owners == stroke
            if own.any():
                rows, columns = (np.flatnonzero(own.any(1 - a)) for a in (0, 1))
                y0, y1 = int(rows[0]), int(rows[-1]) + 1
                x0, x1 = int(columns[0]), int(columns[-1]) + 1
                return plane, (y0, x0, y1, x1), own[y0:y1, x0:x1]
        return None

    def teach(self, bank: BankFile | str | Path) -> None:
        """Learn from a bank that was made on another scan of the same device.

        Classes are matched by name; those that this session lacks are added. A bank of
        another encoder, or of a pixel size too far away, is refused in a sentence.
        """
        from napari_sesami.retrieve import BankFile, Rows, fitting_zoom, load_bank

        file = bank if isinstance(bank, BankFile) else load_bank(Path(bank))
        zoom = fitting_zoom(file.card, self.scan, self.token_encoder)
        names = {entry.name: entry.id for entry in self.classes}
        table = np.arange(256, dtype=np.uint8)
        for entry in file.card.classes:
            if entry.name not in names:
                names[entry.name] = self.classes.add(entry.name, color=entry.color).id
            table[entry.id] = names[entry.name]
        rows = file.rows
        moved = Rows(rows.tokens, table[rows.patches], rows.where, rows.stroke)
        pixels = file.pixels
        if pixels is not None:
            pixels = replace(pixels, classes=table[pixels.classes])
        self._taught = (moved, zoom, pixels, file.card.patch)
        self._retriever = None

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
        read, as in `retriever`.
        """
        from napari_sesami.retrieve import BankCard, BankClass, BankFile, save_bank

        retriever = self.retriever(zoom)
        rows = retriever.bank.rows()
        classes = tuple(BankClass(e.id, e.name, str(e.color)) for e in self.classes)
        patch = retriever.store.patch
        card = BankCard.of(self.scan, self.token_encoder, patch, classes)
        pictures = self._thumbnails(rows, patch) if thumbnails else None
        target = Path(path)
        save_bank(target, BankFile(rows, card, pictures, retriever.samples()))
        return target

    # --- inside

    def _store(self, zoom: float) -> TokenStore:
        from napari_sesami.common.home import home
        from napari_sesami.retrieve import TokenStore

        if self._stores is None:
            self._stores = {}
        # a patch is a whole number of pixels of the scan, so that it can be labelled
        stride = self.token_encoder.stride
        zoom = stride / max(1, round(stride / zoom))
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
            from napari_sesami.common.cancel import Cancelled as Stopped

            raise Stopped("Segmenting was stopped.")

    def _best_zoom(
        self, strokes: Sequence[StrokePlane], cancelled: Cancelled | None
    ) -> float:
        from napari_sesami.retrieve import choose_zoom

        zooms = ZOOMS if np.prod(self.scan.plane_shape) <= SMALL else ZOOMS[:2]
        if not _two_of_each(strokes):
            return zooms[0]
        for zoom in zooms:
            for plane, *_ in strokes:
                self._tokens(self._store(zoom), plane, cancelled)
        return choose_zoom(self._store, strokes, zooms)[0]

    def _stroke_planes(self) -> list[StrokePlane]:
        layer = self._work.layers["strokes"]
        known = self._owned or {}
        found: dict[int, StrokePlane] = {}
        for plane in layer.planes:
            with self._work.lock:  # somebody may be painting just now
                classes = np.array(layer.read(plane))
            if self.scan.ignore is not None:  # data bars teach nothing
                classes[self.scan.ignore] = 0
            old = known.get(plane)
            if old is not None and np.array_equal(old[1], classes):
                found[plane] = old
            elif classes.any():
                found[plane] = (plane, classes, stroke_owners(classes, plane))
        self._owned = found
        return list(found.values())

    def _below(self, strokes: Sequence[StrokePlane]) -> dict[int, StrokeLayer]:
        """What strokes of these planes were painted over, by plane."""
        layer, n = self._work.layers["below"], self.scan.n_planes
        found: dict[int, StrokeLayer] = {}
        for plane in set(layer.planes) & {plane for plane, *_ in strokes}:
            with self._work.lock:
                classes = np.array(layer.read(plane))
            if self.scan.ignore is not None:
                classes[self.scan.ignore] = 0
            if classes.any():  # names that no stroke on top has
                found[plane] = (classes, stroke_owners(classes, plane + n))
        return found

    def _nothing_painted(self) -> str:
        """One sentence: what to do before anything can be learned."""
        painted = any(
            self._work.layers["strokes"].read(plane).any()
            for plane in self._work.layers["strokes"].planes
        )
        if painted:
            return (
                "All strokes lie on the data bar, which is never learned: paint on the "
                "scan itself."
            )
        return "Nothing is painted yet: paint a stroke of each class, then segment."

    def _top_class(self) -> int:
        return max((entry.id for entry in self._work.classes), default=1)

    def _thumbnails(self, rows: Rows, patch: int) -> NDArray[np.uint8]:
        """Grey squares around the patches; blank for rows of other scans."""
        out = np.zeros((len(rows), THUMBNAIL, THUMBNAIL), np.uint8)
        half = THUMBNAIL // 2
        planes: dict[int, NDArray[np.float32]] = {}
        for i, (plane, row, column) in enumerate(rows.where.tolist()):
            if plane < 0:
                continue
            if plane not in planes:
                planes[plane] = np.pad(self.scan.grey(plane), half, mode="edge")
            y, x = (int((k + 0.5) * patch) for k in (row, column))
            crop = planes[plane][y : y + THUMBNAIL, x : x + THUMBNAIL]
            out[i, : crop.shape[0], : crop.shape[1]] = crop * 255
        return out


def raising(cancelled: Cancelled | None) -> Callable[[], None]:
    """What long work calls now and then: raises once it was cancelled."""

    def check() -> None:
        if cancelled is not None and cancelled():
            from napari_sesami.common.cancel import Cancelled as Stopped

            raise Stopped("Segmenting was stopped.")

    return check


def _follow(
    retriever: Retriever,
    strokes: Sequence[StrokePlane],
    below: dict[int, StrokeLayer],
    shape: tuple[int, int],
) -> bool:
    """Teach the retriever what changed since it was asked last."""
    painted = {plane for plane, *_ in strokes}
    nothing = np.zeros(shape, np.uint8)
    changed = []
    for plane in sorted(retriever.painted - painted):
        changed += retriever.set_strokes(plane, nothing, nothing.astype(np.int64))
    for plane, classes, owners in strokes:
        changed += retriever.set_strokes(plane, classes, owners, below.get(plane))
    return bool(changed)


def stroke_owners(classes: NDArray[np.uint8], plane: int) -> NDArray[np.int64]:
    """Name every stroke: painted pixels of one class that hang together.

    The name is the place of the first pixel, so undoing an edit gives the same names.
    """
    owners = np.zeros(classes.size, np.int64)
    painted = np.flatnonzero(classes)
    if len(painted) == 0:
        return owners.reshape(classes.shape)
    parts = _connected(classes, painted)
    _, first, who = np.unique(parts, return_index=True, return_inverse=True)
    names = plane * classes.size + painted[first] + 1
    owners[painted] = names[who]
    return owners.reshape(classes.shape)


def _connected(
    classes: NDArray[np.uint8], painted: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Number of the connected part of each painted pixel (flat, ascending)."""
    if len(painted) > classes.size // 64:
        from skimage.measure import label

        return label(classes, background=0, connectivity=2).ravel()[painted]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    width = classes.shape[1]
    flat, x = classes.ravel(), painted % width
    pairs = []
    for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
        there = painted + down * width + right
        inside = (x + right >= 0) & (x + right < width) & (there < classes.size)
        mine = np.flatnonzero(inside)
        mine = mine[flat[there[mine]] == flat[painted[mine]]]
        pairs.append((mine, np.searchsorted(painted, there[mine])))
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    n = len(painted)
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def _two_of_each(strokes: Sequence[StrokePlane]) -> bool:
    """Whether at least two classes have two strokes, so that scales can be compared."""
    pairs = [
        np.unique(np.stack([classes[owners > 0], owners[owners > 0]]), axis=1)
        for _, classes, owners in strokes
    ]
    counts = np.bincount(np.concatenate(pairs, axis=1)[0]) if pairs else np.zeros(0)
    return int((counts >= 2).sum()) >= 2
