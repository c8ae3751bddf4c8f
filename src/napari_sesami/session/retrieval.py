"""Retrieval: every plane from a few strokes, by a bank of what was painted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import Cancelled
from napari_sesami.session.cleanup import AGREE, SCORE, SPECK, Cleaned, clean_plane
from napari_sesami.session.errors import SessionError
from napari_sesami.session.owners import StrokeOwners
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
        PaintedPixels,
        PixelSamples,
        Retriever,
        Rows,
        TokenStore,
        Way,
    )
    from napari_sesami.session.document import Document
    from napari_sesami.session.labels import Labels
    from napari_sesami.session.prompts import Prompts
    from napari_sesami.session.strokes import Strokes
    from napari_sesami.session.superpixels import Superpixels


ZOOMS = (1.0, 0.5, 2.0)
SMALL = 1 << 20  # pixels of a plane up to which reading it at twice its size is tried
THUMBNAIL = 32  # pixels


class Retrieval:
    """Labels planes by what is painted, and keeps in step with the strokes.

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
        self._encoder: TokenEncoder | None = None
        self._retriever: Retriever | None = None
        self._stores: dict[float, TokenStore] = {}
        # rows and stroked pixels of a bank, the zoom they need here, their patch there
        self._taught: tuple[Rows, float, PixelSamples | None, int] | None = None
        self._owners = StrokeOwners(document)
        # strokes that the retriever has not heard of, by plane and level
        self._news: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._hears_below = False
        self._untuned = False
        self._zoom: tuple[int, float] | None = None
        document.events.changed.connect(self._on_changed)

    def touch(self, plane: int, box: BBox, *, below: bool = False) -> None:
        """Hear that strokes changed within a box: only these are learned again.

        `below` says that what others were painted over changed.
        """
        self._owners.touch(plane, box, int(below))

    def _on_changed(self, plane: int, box: BBox, layer: str) -> None:
        if layer in ("strokes", "below"):
            self.touch(plane, box, below=layer == "below")

    @property
    def encoder(self) -> TokenEncoder:
        """What turns patches into tokens; the bundled encoder unless another is set."""
        if self._encoder is None:
            from napari_sesami.models import load_token_encoder

            self._encoder = load_token_encoder()
        return self._encoder

    @encoder.setter
    def encoder(self, encoder: TokenEncoder) -> None:
        self._encoder, self._retriever, self._taught = encoder, None, None
        self._zoom = None
        self._stores = {}

    @property
    def taught(self) -> bool:
        """Whether a bank from another scan teaches, too."""
        return self._taught is not None

    @property
    def current(self) -> Retriever | None:
        """The retriever as it was last, which may lag behind the strokes."""
        return self._retriever

    def retriever(
        self,
        zoom: float | None = None,
        cancelled: IsCancelled | None = None,
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
        from napari_sesami.retrieve import CAP, PaintedPixels, Retriever

        strokes = self.painted()
        if not strokes and self._taught is None:
            raise SessionError(self._nothing_painted())
        store = self._store(self.best_zoom(cancelled) if zoom is None else zoom)
        found = self._retriever
        if found is None or found.store is not store:
            for plane, _ in strokes:  # a call that is cancelled here changes nothing
                self.read_tokens(store, plane, cancelled)
            found = self._retriever = Retriever(store, self.top_class)
            if self._taught is not None:
                rows, _, pixels, patch = self._taught
                fit = pixels if patch == store.patch else None
                found.teach(rows, self.top_class, fit)
            self._hears_below = overlap
            self._news = {at: p.names for at, p in self._owners.known.items()}
        if overlap != self._hears_below:
            self._hears_below = overlap
            under = [at for at in self._owners.known if at[1]]
            self._news |= {at: self._owners.known[at].names for at in under}
        elif not overlap:
            self._news = {at: n for at, n in self._news.items() if not at[1]}
        changed = []
        for at in sorted(self._news):
            plane, level = at
            self.read_tokens(store, plane, cancelled)
            now = self._owners.known.get(at) if overlap or not level else None
            now = PaintedPixels.none() if now is None else now
            changed += found.set_painted(plane, now, self._news[at], level)
            del self._news[at]
            self._untuned = self._untuned or bool(changed)
        if tune and self._untuned:
            found.tune()
            self._untuned = False
        if tune or (len(found.bank) > CAP and found.voters.condensed is None):
            found.condense(raising(cancelled))
        return found

    def best_zoom(self, cancelled: IsCancelled | None = None) -> float:
        """The scale at which the strokes are told apart best, or that of a bank."""
        from napari_sesami.retrieve import choose_zoom

        if self._taught is not None:
            return self._taught[1]
        strokes = self.painted()
        if self._zoom is None or self._zoom[0] != self._owners.version:
            small = np.prod(self._document.scan.plane_shape) <= SMALL
            zooms = ZOOMS if small else ZOOMS[:2]
            best = zooms[0]
            if _two_of_each([painted for _, painted in strokes]):
                for zoom in zooms:
                    for plane, _ in strokes:
                        self.read_tokens(self._store(zoom), plane, cancelled)
                best = choose_zoom(self._store, strokes, zooms)[0]
            self._zoom = (self._owners.version, best)
        return self._zoom[1]

    def tokens(
        self,
        plane: int,
        zoom: float = 1.0,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: IsCancelled | None = None,
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

    def teach(self, bank: BankFile | str | Path) -> None:
        """Learn from a bank that was made on another scan of the same device.

        Classes are matched by name; those that this session lacks are added. A bank of
        another encoder, or of a pixel size too far away, is refused in a sentence.
        """
        from napari_sesami.retrieve import BankFile, Rows, fitting_zoom, load_bank

        file = bank if isinstance(bank, BankFile) else load_bank(Path(bank))
        zoom = fitting_zoom(file.card, self._document.scan, self.encoder)
        names = {entry.name: entry.id for entry in self._document.classes}
        table = np.arange(256, dtype=np.uint8)
        for entry in file.card.classes:
            if entry.name not in names:
                names[entry.name] = self._document.classes.add(
                    entry.name, color=entry.color
                ).id
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
        classes = tuple(
            BankClass(e.id, e.name, str(e.color)) for e in self._document.classes
        )
        patch = retriever.store.patch
        card = BankCard.of(self._document.scan, self.encoder, patch, classes)
        pictures = self._thumbnails(rows, patch) if thumbnails else None
        target = Path(path)
        save_bank(target, BankFile(rows, card, pictures, retriever.samples()))
        return target

    # --- labels

    def segment(
        self,
        planes: Iterable[int] | int | None = None,
        *,
        way: Way = "ours",
        multi: bool | None = None,
        zoom: float | None = None,
        refine: bool = True,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> Segmentation:
        """Label planes by what is painted anywhere in the scan.

        Parameters
        ----------
        planes
            Numbers of planes; by default those with strokes.
        way
            "ours", or one of the published ways as published: "distance" and
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
        progress, cancelled
            `progress(done, all)` counts planes; a cancelled call raises.
        """
        from napari_sesami.retrieve import check_way, overlapping

        check_way(way)
        wanted = self.planes_asked(planes)
        both = self._strokes.overlap if multi is None else multi
        retriever = self.retriever(zoom, cancelled, overlap=both)
        check = raising(cancelled)
        parts, masks = [], []
        for i, plane in enumerate(wanted):
            self.read_tokens(retriever.store, plane, cancelled)
            said = retriever.segment(plane, refine=refine, way=way, check=check)
            parts.append(said)
            if both:
                masks.append(
                    overlapping(retriever, plane, way=way, refine=refine, check=check)
                )
            if progress is not None:
                progress(i + 1, len(wanted))
        found = Segmentation(
            tuple(wanted),
            np.stack([p.labels for p in parts]),
            np.stack([p.votes for p in parts]),
            np.stack([p.novelty for p in parts]),
            way=way,
        )
        return with_masks(found, masks) if masks else found

    def preview(
        self,
        plane: int,
        tokens: NDArray[np.float32],
        known: NDArray[np.bool_],
        zoom: float = 1.0,
    ) -> NDArray[np.uint8] | None:
        """Label the part of a plane that was read already, while the rest is to come.

        Parameters
        ----------
        plane, zoom
            Which plane, and the scale at which it is read.
        tokens, known
            (h, w, D) as far as they are known, and where that is, (h, w).

        Returns
        -------
        ndarray or None
            (y, x) class ids, 0 where nothing is known; None if no stroke is there.
        """
        from napari_sesami.retrieve import PartialStore, Retriever

        store = PartialStore(self._store(zoom), plane, tokens)
        found = Retriever(store, self.top_class)
        p, shape = store.patch, self._document.scan.plane_shape
        seen = known.repeat(p, 0).repeat(p, 1)[: shape[0], : shape[1]]
        if self._taught is not None:
            found.teach(self._taught[0], self.top_class)
        for number, painted in self.painted():
            if store.ready(number):
                here = painted
                if number == plane:
                    here = painted.take(seen.ravel()[painted.pixels])
                found.set_painted(number, here, here.names)
        if len(found.bank) == 0:
            return None
        return np.where(seen, found.quick(plane), 0).astype(np.uint8)

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
        planes = [
            clean_plane(
                self._prompts.predictor,
                self._document.scan,
                plane,
                labels,
                votes,
                score=score,
                agree=agree,
                speck=speck,
                progress=progress,
                check=raising(cancelled),
            )
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

    def combine_banks(
        self, banks: Sequence[str | Path], path: str | Path
    ) -> tuple[Path, int]:
        """Write one bank of two or more; gives its path and how many patches it has.

        Banks of another encoder or patch size are refused in a sentence; classes are
        joined by name.
        """
        from napari_sesami.retrieve import combine, load_bank, save_bank

        if len(banks) < 2:
            raise SessionError("Choose two banks or more to combine.")
        made = load_bank(Path(banks[0]))
        for other in banks[1:]:
            made = combine(made, load_bank(Path(other)))
        save_bank(Path(path), made)
        return Path(path), len(made.rows)

    # --- inside

    def _store(self, zoom: float) -> TokenStore:
        from napari_sesami.common.home import home
        from napari_sesami.retrieve import TokenStore

        # a patch is a whole number of pixels of the scan, so that it can be labelled
        stride = self.encoder.stride
        zoom = stride / max(1, round(stride / zoom))
        if zoom not in self._stores:
            folder = home() / "cache" / "tokens"
            self._stores[zoom] = TokenStore(
                self._document.scan, self.encoder, zoom=zoom, folder=folder
            )
        return self._stores[zoom]

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

    def read_tokens(
        self, store: TokenStore, plane: int, cancelled: IsCancelled | None
    ) -> None:
        """Compute the tokens of a plane if they are not there."""
        if store.plane(plane, cancelled=cancelled) is None:
            raise Cancelled("Segmenting was stopped.")

    def painted(self) -> list[tuple[int, PaintedPixels]]:
        """What is painted on each plane, and by which stroke."""
        for at, names in self._owners.update().items():
            known = self._news.get(at)
            self._news[at] = names if known is None else np.union1d(known, names)
        known_ = self._owners.known
        return [
            (plane, known_[plane, level])
            for plane, level in sorted(known_)
            if not level
        ]

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

    @property
    def top_class(self) -> int:
        """The highest class id."""
        return max((entry.id for entry in self._document.work.classes), default=1)

    def _thumbnails(self, rows: Rows, patch: int) -> NDArray[np.uint8]:
        """Grey squares around the patches; blank for rows of other scans."""
        out = np.zeros((len(rows), THUMBNAIL, THUMBNAIL), np.uint8)
        half = THUMBNAIL // 2
        planes: dict[int, NDArray[np.float32]] = {}
        for i, (plane, row, column) in enumerate(rows.where.tolist()):
            if plane < 0:
                continue
            if plane not in planes:
                planes[plane] = np.pad(
                    self._document.scan.grey(plane), half, mode="edge"
                )
            y, x = (int((k + 0.5) * patch) for k in (row, column))
            crop = planes[plane][y : y + THUMBNAIL, x : x + THUMBNAIL]
            out[i, : crop.shape[0], : crop.shape[1]] = crop * 255
        return out

    def planes_asked(self, planes: Iterable[int] | int | None) -> list[int]:
        """Check numbers of planes; by default those with strokes."""
        if planes is None:
            return [plane for plane, _ in self.painted()] or [0]
        wanted = [planes] if isinstance(planes, int | np.integer) else list(planes)
        scan = self._document.scan
        bad = [p for p in wanted if not 0 <= int(p) < scan.n_planes]
        if bad or not wanted:
            raise SessionError(
                f"{scan.name} has planes 0 to {scan.n_planes - 1}; "
                f"{bad[0] if bad else 'none'} was asked for."
            )
        return [int(p) for p in wanted]


def raising(cancelled: IsCancelled | None) -> Callable[[], None]:
    """What long work calls now and then: raises once it was cancelled."""

    def check() -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("Segmenting was stopped.")

    return check


def _two_of_each(strokes: Sequence[PaintedPixels]) -> bool:
    """Whether at least two classes have two strokes, so that scales can be compared."""
    pairs = [np.unique(np.stack([p.classes, p.owners]), axis=1) for p in strokes]
    counts = np.bincount(np.concatenate(pairs, axis=1)[0]) if pairs else np.zeros(0)
    return int((counts >= 2).sum()) >= 2
