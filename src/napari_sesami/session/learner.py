"""The learner: a retriever that follows the strokes, and the tokens it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import Cancelled
from napari_sesami.common.recent import Recent
from napari_sesami.session.errors import SessionError
from napari_sesami.session.owners import StrokeOwners

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.models import TokenEncoder
    from napari_sesami.retrieve import (
        PaintedPixels,
        PixelSamples,
        Retriever,
        Rows,
        TokenStore,
    )
    from napari_sesami.session.document import Document


ZOOMS = (1.0, 0.5, 2.0)
FOLLOWED = 2  # zooms at which strokes are learned by differences: a flip is quick
SMALL = 1 << 20  # pixels of a plane up to which reading it at twice its size is tried


@dataclass
class _Follower:
    """A retriever at one zoom, and what it has not heard of yet.

    `news` holds names of strokes by plane and level.
    """

    retriever: Retriever
    news: dict[tuple[int, int], NDArray[np.int64]]
    hears_below: bool
    untuned: bool = False


class StrokeLearner:
    """Learns from strokes as they are painted, by differences.

    Parameters
    ----------
    document
        The scan and what is drawn on it.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._encoder: TokenEncoder | None = None
        self._followers: Recent[float, _Follower] = Recent(FOLLOWED)
        self._current: Retriever | None = None
        self._stores: dict[float, TokenStore] = {}
        # rows and stroked pixels of a bank, the zoom they need here, their patch there
        self._taught: tuple[Rows, float, PixelSamples | None, int] | None = None
        self._owners = StrokeOwners(document)
        self._zoom: tuple[int, float] | None = None
        document.events.changed.connect(self._on_changed)

    def _on_changed(self, plane: int, box: BBox, layer: str) -> None:
        """Hear that strokes changed within a box: only these are learned again."""
        if layer in ("strokes", "below"):
            self._owners.touch(plane, box, int(layer == "below"))

    @property
    def encoder(self) -> TokenEncoder:
        """What turns patches into tokens; the bundled encoder unless another is set."""
        if self._encoder is None:
            from napari_sesami.models import load_token_encoder

            self._encoder = load_token_encoder()
        return self._encoder

    @encoder.setter
    def encoder(self, encoder: TokenEncoder) -> None:
        self._encoder, self._current, self._taught = encoder, None, None
        self._zoom = None
        self._followers.clear()
        self._stores = {}

    @property
    def taught(self) -> bool:
        """Whether a bank from another scan teaches, too."""
        return self._taught is not None

    @property
    def current(self) -> Retriever | None:
        """The retriever as it was last, which may lag behind the strokes."""
        return self._current

    def retriever(
        self,
        zoom: float | None = None,
        cancelled: IsCancelled | None = None,
        *,
        tune: bool | None = True,
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
            Choose the temperature anew if strokes changed. Without, a later call does;
            None chooses it for the first answer at a zoom.
        overlap
            Let strokes speak that others were painted over, too.
        """
        from napari_sesami.retrieve import CAP, PaintedPixels, Retriever

        strokes = self.painted()
        if not strokes and self._taught is None:
            raise SessionError(self._nothing_painted())
        zoom = self.best_zoom(cancelled) if zoom is None else zoom
        store = self.token_store(zoom)
        follower = self._followers.get(zoom)
        tune = follower is None if tune is None else tune
        if follower is None:
            for plane, _ in strokes:  # a call that is cancelled here changes nothing
                self.read_tokens(store, plane, cancelled)
            found = Retriever(store, self.top_class)
            if self._taught is not None:
                rows, _, pixels, patch = self._taught
                fit = pixels if patch == store.patch else None
                found.teach(rows, self.top_class, fit)
            news = {at: p.names for at, p in self._owners.known.items()}
            follower = self._followers[zoom] = _Follower(found, news, overlap)
        found = self._current = follower.retriever
        if overlap != follower.hears_below:
            follower.hears_below = overlap
            under = [at for at in self._owners.known if at[1]]
            follower.news |= {at: self._owners.known[at].names for at in under}
        elif not overlap:
            follower.news = {at: n for at, n in follower.news.items() if not at[1]}
        changed = []
        for at in sorted(follower.news):
            plane, level = at
            self.read_tokens(store, plane, cancelled)
            now = self._owners.known.get(at) if overlap or not level else None
            now = PaintedPixels.none() if now is None else now
            changed += found.set_painted(plane, now, follower.news[at], level)
            del follower.news[at]
            follower.untuned = follower.untuned or bool(changed)
        if tune and follower.untuned:
            found.tune()
            follower.untuned = False
        if tune or (len(found.bank) > CAP and found.voters.condensed is None):
            found.condense(raising(cancelled))
        return found

    def teach(
        self, rows: Rows, zoom: float, pixels: PixelSamples | None, patch: int
    ) -> None:
        """Learn rows of another scan, whose classes are those of this one by now."""
        self._taught = (rows, zoom, pixels, patch)
        self._followers.clear()
        self._current = None

    def forget(self, plane: int) -> None:
        """Drop what is remembered of a plane's votes; they are counted again."""
        for follower in self._followers.values():
            follower.retriever.forget(plane)

    def partial(
        self,
        plane: int,
        tokens: NDArray[np.floating[Any]],
        known: NDArray[np.bool_],
        zoom: float,
    ) -> Retriever | None:
        """Learn from what was read of a plane already; None if no stroke is there.

        `known` (y, x) says which pixels were read; nothing is remembered.
        """
        from napari_sesami.retrieve import PartialStore, Retriever

        store = PartialStore(self.token_store(zoom), plane, tokens)
        found = Retriever(store, self.top_class)
        if self._taught is not None:
            found.teach(self._taught[0], self.top_class)
        for number, painted in self.painted():
            if store.ready(number):
                here = painted
                if number == plane:
                    here = painted.take(known.ravel()[painted.pixels])
                found.set_painted(number, here, here.names)
        return found if len(found.bank) else None

    def best_zoom(self, cancelled: IsCancelled | None = None) -> float:
        """The zoom at which the strokes are told apart best, or that of a bank."""
        from napari_sesami.retrieve import choose_zoom

        if self._taught is not None:
            return self._taught[1]
        strokes = self.painted()
        if self._zoom is None or self._zoom[0] != self._owners.version:
            small = np.prod(self._document.scan.plane_shape) <= SMALL
            zooms = ZOOMS if small else ZOOMS[:2]
            best = zooms[0]
            if _two_of_each([painted for _, painted in strokes]):
                best = choose_zoom(self.token_store, strokes, zooms, cancelled)[0]
            self._zoom = (self._owners.version, best)
        return self._zoom[1]

    # --- tokens

    def tokens(
        self,
        plane: int,
        zoom: float = 1.0,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: IsCancelled | None = None,
    ) -> bool:
        """Compute the tokens of a plane if they are not there; False if cancelled."""
        store = self.token_store(zoom)
        found = store.plane(plane, progress=progress, cancelled=cancelled)
        return found is not None

    def token_store(self, zoom: float = 1.0) -> TokenStore:
        """The tokens of the scan, read at a zoom."""
        from napari_sesami.retrieve import TokenStore, token_folder

        # a patch is a whole number of pixels of the scan, so that it can be labelled
        stride = self.encoder.stride
        zoom = stride / max(1, round(stride / zoom))
        if zoom not in self._stores:
            self._stores[zoom] = TokenStore(
                self._document.scan, self.encoder, zoom=zoom, folder=token_folder()
            )
        return self._stores[zoom]

    def read_tokens(
        self, store: TokenStore, plane: int, cancelled: IsCancelled | None
    ) -> None:
        """Compute the tokens of a plane if they are not there."""
        if store.plane(plane, cancelled=cancelled) is None:
            raise Cancelled("Segmenting was stopped.")

    # --- what is painted

    def painted(self) -> list[tuple[int, PaintedPixels]]:
        """What is painted on each plane, and by which stroke."""
        for at, names in self._owners.update().items():
            for follower in self._followers.values():
                known = follower.news.get(at)
                both = names if known is None else np.union1d(known, names)
                follower.news[at] = both
        known_ = self._owners.known
        return [
            (plane, known_[plane, level])
            for plane, level in sorted(known_)
            if not level
        ]

    def painted_on(self, plane: int) -> NDArray[np.integer]:
        """Places of the stroked pixels in the flat plane."""
        found = [known.pixels for number, known in self.painted() if number == plane]
        return found[0] if found else np.zeros(0, np.int64)

    def painted_pixels(self, classes: int) -> NDArray[np.float64]:
        """Count the painted pixels of each class."""
        total = np.zeros(classes)
        for _, painted in self.painted():
            counts = np.bincount(painted.classes, minlength=classes + 1)
            total += counts[1 : classes + 1]
        return total

    def painted_tokens(
        self, zoom: float | None = None, most: int = 2000
    ) -> NDArray[np.float32]:
        """Tokens of what is painted, evenly thinned."""
        tokens = np.asarray(self.retriever(zoom).bank.rows().tokens, np.float32)
        return tokens[:: max(1, len(tokens) // most)]

    def stroke_pixels(self, stroke: int) -> tuple[int, BBox, NDArray[np.bool_]] | None:
        """Plane, box (y0, x0, y1, x1) and pixels of a stroke that a reason names."""
        self.painted()
        width = self._document.scan.plane_shape[1]
        for (plane, _), known in sorted(self._owners.known.items()):
            y, x = np.divmod(known.pixels[known.owners == stroke], width)
            if len(y):
                y0, x0 = int(y[0]), int(x.min())
                own = np.zeros((int(y[-1]) + 1 - y0, int(x.max()) + 1 - x0), bool)
                own[y - y0, x - x0] = True
                return plane, (y0, x0, y0 + own.shape[0], x0 + own.shape[1]), own
        return None

    @property
    def top_class(self) -> int:
        """The highest class id."""
        return max((entry.id for entry in self._document.work.classes), default=1)

    def _nothing_painted(self) -> str:
        """One sentence: what to do before anything can be learned."""
        painted = any(
            self._document.work.layers["strokes"].read(plane).any()
            for plane in self._document.work.layers["strokes"].planes
        )
        if painted:
            return (
                "All strokes lie on the data bar, which is never learned: paint on the "
                "scan itself."
            )
        return "Nothing is painted yet: paint a stroke of each class, then segment."


def raising(cancelled: IsCancelled | None) -> Callable[[], None]:
    """What long work calls now and then: raises once it was cancelled."""

    def check() -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("Segmenting was stopped.")

    return check


def _two_of_each(strokes: Sequence[PaintedPixels]) -> bool:
    """Whether at least two classes have two strokes, so that zooms can be compared."""
    pairs = [np.unique(np.stack([p.classes, p.owners]), axis=1) for p in strokes]
    counts = np.bincount(np.concatenate(pairs, axis=1)[0]) if pairs else np.zeros(0)
    return int((counts >= 2).sum()) >= 2
