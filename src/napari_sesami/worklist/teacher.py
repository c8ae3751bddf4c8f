"""What the labelled scans of a project teach about the next one: rows of a bank."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.session import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.models import TokenEncoder
    from napari_sesami.project import Project
    from napari_sesami.retrieve import Retriever, Rows, TokenStore
    from napari_sesami.scan import Scan

    Progress = Callable[[float, str], None]

PER_CLASS = 240  # patches that one plane teaches of a class
PLANES = 8  # labelled planes of a volume that teach
PURE = 0.6  # share of a patch that its class must have to be an example of it
EMPTY = 0.05  # share of a plane without a label from which "nothing" is learnt too


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """A scan with labels that somebody stands for.

    Attributes
    ----------
    scan
        Its pixels.
    planes
        (y, x) uint8 class ids, by plane.
    complete
        Whether pixels without a label are known to be nothing.
    key
        Changes whenever the labels change.
    """

    scan: Scan
    planes: dict[int, NDArray[np.uint8]]
    complete: bool = True
    key: str = ""


def labelled_scan(project: Project, key: str) -> LabelledScan | None:
    """Read a scan of a project with its labels as they were saved; None without any."""
    store = project.saved_labels(key)
    if store is None:
        return None
    numbers = sorted(store.stored("labels"))
    if len(numbers) > PLANES:
        at = np.linspace(0, len(numbers) - 1, PLANES)
        numbers = [numbers[round(i)] for i in at]
    planes = {p: store.read_plane("labels", p) for p in numbers}
    read = {p: labels for p, labels in planes.items() if labels is not None}
    if not read:
        return None
    name = f"{key}/{store.state['generation']}"
    return LabelledScan(project.open_scan(key), read, True, name)


@dataclass
class Teacher:
    """Reads labelled scans into rows, and remembers them as long as they do not change.

    Attributes
    ----------
    skipped
        One sentence for each scan that could not teach, after the last call.
    """

    skipped: list[str] = field(default_factory=list)
    _known: dict[tuple[Any, ...], Rows] = field(default_factory=dict)

    def retriever(
        self,
        scan: Scan,
        encoder: TokenEncoder,
        sources: Sequence[LabelledScan],
        top: int,
        *,
        store: TokenStore | None = None,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> Retriever:
        """A retriever for `scan` that knows the sources; `top` + 1 means nothing.

        Sources of another magnification are read at the scale of `scan`; those that
        cannot be compared are named in `skipped`.
        """
        from napari_sesami.retrieve import Retriever

        self.skipped = []
        parts: list[Rows] = []
        for i, source in enumerate(sources):
            if progress is not None:
                progress(i / len(sources), f"Reading what {source.scan.name} teaches")
            zoom = self._zoom(source.scan, scan, encoder)
            if zoom is not None:
                parts.append(self._rows(source, encoder, zoom, top, cancelled))
        parts = [rows for rows in parts if len(rows)]
        if not parts:
            why = self.skipped[0] if self.skipped else "Label and accept one by hand."
            raise SessionError(f"No labelled scan can teach {scan.name} yet. {why}")
        found = Retriever(store or _store(scan, encoder), top + 1)
        for rows in parts:
            found.teach(rows, top + 1)
        found.tune()
        return found

    def _zoom(self, source: Scan, target: Scan, encoder: TokenEncoder) -> float | None:
        """The scale at which `source` shows things as large as `target` does."""
        from napari_sesami.retrieve import BankCard, RetrieveError, fitting_zoom

        card = BankCard.of(target, encoder, encoder.stride, ())
        try:
            return fitting_zoom(card, source, encoder)
        except RetrieveError as error:
            self.skipped.append(f"{source.name} is left out: {error}")
            return None

    def _rows(
        self,
        source: LabelledScan,
        encoder: TokenEncoder,
        zoom: float,
        top: int,
        cancelled: IsCancelled | None,
    ) -> Rows:
        store = _store(source.scan, encoder, zoom)
        name = (source.scan.content_hash, source.key, encoder.key, store.patch, top)
        if not source.key or name not in self._known:
            self._known[name] = _read(source, store, top, cancelled)
        return self._known[name]


def _store(scan: Scan, encoder: TokenEncoder, zoom: float = 1.0) -> TokenStore:
    from napari_sesami.common.home import home
    from napari_sesami.retrieve import TokenStore

    # a patch is a whole number of pixels of the scan, so that it can be labelled
    zoom = encoder.stride / max(1, round(encoder.stride / zoom))
    return TokenStore(scan, encoder, zoom=zoom, folder=home() / "cache" / "tokens")


def _read(
    source: LabelledScan, store: TokenStore, top: int, cancelled: IsCancelled | None
) -> Rows:
    """Rows of the examples in every labelled plane of a scan."""
    from napari_sesami.common.cancel import Cancelled
    from napari_sesami.retrieve import Retriever

    found = Retriever(store, top + 1)
    for plane, labels in source.planes.items():
        if store.plane(plane, cancelled=cancelled) is None:
            raise Cancelled("Reading the labelled scans was stopped.")
        classes = with_nothing(labels, top, source)
        chosen, owners = examples(classes, store.patch, plane)
        found.set_strokes(plane, chosen, owners)
    return found.bank.rows()


def with_nothing(
    labels: NDArray[np.uint8], top: int, source: LabelledScan
) -> NDArray[np.uint8]:
    """Labels in which `top` + 1 stands where there is nothing, if that is known."""
    empty = labels == 0
    if source.scan.ignore is not None:
        empty &= ~source.scan.ignore
    if not source.complete or top + 1 >= 255 or empty.mean() < EMPTY:
        return labels
    return np.where(empty, np.uint8(top + 1), labels)


def examples(
    classes: NDArray[np.uint8], patch: int, plane: int, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Choose patches that show each class, and name those of a quarter of the plane.

    Few enough for quick votes, spread at random over the plane; a quarter's examples
    of a class count as one stroke, so that quarters can be judged by each other.
    """
    h, w = (n // patch for n in classes.shape)
    blocks = classes[: h * patch, : w * patch].reshape(h, patch, w, patch)
    chosen = np.zeros((h, w), bool)
    rng = np.random.default_rng(seed)
    for class_id in np.unique(classes[classes > 0]):
        share = (blocks == class_id).mean((1, 3))
        good = np.flatnonzero(share.ravel() >= PURE)
        if not len(good):  # a class thinner than a patch: its best patches
            good = np.argsort(-share, axis=None)[:PER_CLASS]
            good = good[share.ravel()[good] > 0]
        picked = rng.permutation(good)[:PER_CLASS]
        chosen.ravel()[picked] = True
    out = np.zeros_like(classes)
    mask = np.repeat(np.repeat(chosen, patch, 0), patch, 1)
    out[: h * patch, : w * patch] = np.where(mask, classes[: h * patch, : w * patch], 0)
    rows, columns = np.indices(classes.shape)
    quarter = 2 * (2 * rows // classes.shape[0]) + 2 * columns // classes.shape[1]
    owners = 1 + quarter + 4 * out.astype(np.int64) + 1024 * plane
    return out, np.where(out > 0, owners, 0)
