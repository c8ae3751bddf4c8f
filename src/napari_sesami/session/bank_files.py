"""Bank files: what one scan taught, for others of the same device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.retrieve import BankFile, Rows
    from napari_sesami.scan import Scan
    from napari_sesami.session.document import Document
    from napari_sesami.session.learner import StrokeLearner

THUMBNAIL = 32  # pixels


def teach(
    learner: StrokeLearner, document: Document, bank: BankFile | str | Path
) -> None:
    """Let a bank teach; its classes are matched by name, those that lack are added."""
    from napari_sesami.retrieve import BankFile, Rows, fitting_zoom, load_bank

    file = bank if isinstance(bank, BankFile) else load_bank(Path(bank))
    zoom = fitting_zoom(file.card, document.scan, learner.encoder)
    names = {entry.name: entry.id for entry in document.classes}
    table = np.arange(256, dtype=np.uint8)
    for entry in file.card.classes:
        if entry.name not in names:
            added = document.classes.add(entry.name, color=entry.color)
            names[entry.name] = added.id
        table[entry.id] = names[entry.name]
    rows, pixels = file.rows, file.pixels
    moved = Rows(rows.tokens, table[rows.patches], rows.where, rows.stroke)
    if pixels is not None:
        pixels = replace(pixels, classes=table[pixels.classes])
    learner.teach(moved, zoom, pixels, file.card.patch)


def export_bank(
    learner: StrokeLearner,
    document: Document,
    path: Path,
    thumbnails: bool,
    zoom: float | None,
) -> None:
    """Write what was painted (and taught) to a `.bank` file."""
    from napari_sesami.retrieve import BankCard, BankClass, BankFile, save_bank

    retriever, scan = learner.retriever(zoom), document.scan
    rows, patch = retriever.bank.rows(), retriever.store.patch
    classes = tuple(BankClass(e.id, e.name, str(e.color)) for e in document.classes)
    card = BankCard.of(scan, learner.encoder, patch, classes)
    pictures = _thumbnails(scan, rows, patch) if thumbnails else None
    save_bank(path, BankFile(rows, card, pictures, retriever.samples()))


def combine_banks(banks: Sequence[str | Path], path: Path) -> int:
    """Write one bank of two or more; gives how many patches it has."""
    from napari_sesami.retrieve import combine, load_bank, save_bank

    if len(banks) < 2:
        raise SessionError("Choose two banks or more to combine.")
    made = load_bank(Path(banks[0]))
    for other in banks[1:]:
        made = combine(made, load_bank(Path(other)))
    save_bank(path, made)
    return len(made.rows)


def _thumbnails(scan: Scan, rows: Rows, patch: int) -> NDArray[np.uint8]:
    """Grey squares around the patches; blank for rows of other scans."""
    out = np.zeros((len(rows), THUMBNAIL, THUMBNAIL), np.uint8)
    half = THUMBNAIL // 2
    planes: dict[int, NDArray[np.float32]] = {}
    for i, (plane, row, column) in enumerate(rows.where.tolist()):
        if plane < 0:
            continue
        if plane not in planes:
            planes[plane] = np.pad(scan.grey(plane), half, mode="edge")
        y, x = (int((k + 0.5) * patch) for k in (row, column))
        crop = planes[plane][y : y + THUMBNAIL, x : x + THUMBNAIL]
        out[i, : crop.shape[0], : crop.shape[1]] = crop * 255
    return out
