"""Bank files `*.bank`: what was labelled on one device, taken to the next.

Safetensors with the card as JSON in its header: no pickles, nothing to execute.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from napari_sesami.common.checked import checked
from napari_sesami.common.disk import write_atomic
from napari_sesami.models import weights_key
from napari_sesami.retrieve.bank import UNLABELLED, RetrieveError, Rows
from napari_sesami.retrieve.pixel_features import N_LOOKS
from napari_sesami.retrieve.pixel_forest import PixelSamples
from napari_sesami.scan import LENGTHS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.models import TokenEncoder
    from napari_sesami.scan import Scan

FORMAT = 1
ZOOM_RANGE = (0.2, 5.0)  # resampling beyond this leaves nothing to recognise


@dataclass(frozen=True)
class BankClass:
    """A class as the bank knows it."""

    id: int
    name: str
    color: str


@dataclass(frozen=True)
class BankCard:
    """Everything that must fit before a bank may speak about another scan.

    Attributes
    ----------
    encoder, encoder_key
        Name of the token encoder, and key of its weights in whatever precision.
    patch_size, unit
        Side of a token's patch in length units; None if the pixel size was unknown.
    patch
        The same in pixels of the scan it was made on.
    normalisation
        Black and white level of that scan, for the record.
    """

    encoder: str
    encoder_key: str
    patch: int
    patch_size: float | None
    unit: str | None
    normalisation: dict[str, float]
    classes: tuple[BankClass, ...]
    source: str = ""
    format: int = FORMAT

    @staticmethod
    def of(
        scan: Scan, encoder: TokenEncoder, patch: int, classes: tuple[BankClass, ...]
    ) -> BankCard:
        """Describe a bank made on `scan`."""
        size, unit = pixel_size(scan)
        return BankCard(
            encoder=encoder.name,
            encoder_key=weights_key(encoder),
            patch=patch,
            patch_size=None if size is None else size * patch,
            unit=unit,
            normalisation=scan.normalisation.to_dict(),
            classes=classes,
            source=scan.name,
        )


@dataclass(frozen=True)
class BankFile:
    """Rows with their card, a thumbnail per row unless left out, and stroked pixels."""

    rows: Rows
    card: BankCard
    thumbnails: NDArray[np.uint8] | None = field(default=None)
    pixels: PixelSamples | None = None


def pixel_size(scan: Scan) -> tuple[float | None, str | None]:
    """Pixel size along x and its unit, if it is a known length."""
    at = scan.axes.index("x")
    size, unit = scan.pixel_size[at], scan.units[at]
    return (size, unit) if size is not None and unit in LENGTHS else (None, None)


def save_bank(path: Path, bank: BankFile) -> None:
    """Write atomically."""
    from safetensors.numpy import save

    tensors: dict[str, NDArray[Any]] = {
        "tokens": bank.rows.tokens.astype(np.float16),
        "patches": bank.rows.patches,
        "where": bank.rows.where,
        "stroke": bank.rows.stroke,
    }
    if bank.thumbnails is not None:
        tensors["thumbnails"] = bank.thumbnails
    if bank.pixels is not None:
        tensors["pixel_features"] = bank.pixels.features.astype(np.float16)
        tensors["pixel_classes"] = bank.pixels.classes
        tensors["pixel_stroke"] = bank.pixels.stroke
    content = save(tensors, metadata={"card": json.dumps(asdict(bank.card))})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise RetrieveError(
            f"The bank {path} could not be written ({error.strerror or error}); choose "
            "another place, or free some space, and export it again."
        ) from error


def load_bank(path: Path) -> BankFile:
    """Read a bank file; anything else is refused in a sentence."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stream:
            text = (stream.metadata() or {})["card"]
            format_ = checked(_FormatRow, text, "its card")["format"]
            if format_ > FORMAT:
                raise RetrieveError(
                    f"{path} was written by a newer napari-sesami (bank format "
                    f"{format_}); update napari-sesami to read it."
                )
            card: BankCard = checked(BankCard, text, "its card")
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}
        _check_tensors(tensors)
        rows = Rows(
            tensors["tokens"].astype(np.float32),
            tensors["patches"],
            tensors["where"],
            tensors["stroke"],
        )
        pixels = _pixels(tensors)
    except RetrieveError:
        raise
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise RetrieveError(
            f"{path} cannot be read as a bank ({error}); choose a .bank file."
        ) from error
    return BankFile(rows, card, tensors.get("thumbnails"), pixels)


class _FormatRow(TypedDict):
    """What every version of a card says."""

    format: int


def _check_tensors(tensors: dict[str, NDArray[Any]]) -> None:
    """Refuse rows that do not belong together, or hold something else."""
    wanted = {"tokens": ("f", 2), "patches": ("u", 3), "where": ("iu", 2)}
    wanted |= {"stroke": ("iu", 1)}
    for name, (kinds, ndim) in wanted.items():
        array = tensors[name]
        if array.dtype.kind not in kinds or array.ndim != ndim:
            raise ValueError(f"“{name}” is {array.dtype} with {array.ndim} axes")
        if len(array) != len(tensors["tokens"]):
            raise ValueError(f"“{name}” has not a row for each token")


def _pixels(tensors: dict[str, NDArray[Any]]) -> PixelSamples | None:
    """The stroked pixels of a file, if they are described as they are now."""
    width = tensors["tokens"].shape[1] + N_LOOKS
    features = tensors.get("pixel_features")
    if features is None or features.shape[1:] != (width,):
        return None
    classes, stroke = tensors["pixel_classes"], tensors["pixel_stroke"]
    return PixelSamples(features.astype(np.float32), classes, stroke)


def fitting_zoom(card: BankCard, scan: Scan, encoder: TokenEncoder) -> float:
    """The zoom at which `scan` must be read for its patches to cover the same length.

    Raises
    ------
    RetrieveError
        If the encoder differs, or a length is unknown on one side only, or the pixel
        sizes are too far apart to resample.
    """
    if card.encoder_key not in (weights_key(encoder), encoder.key):
        raise RetrieveError(
            f"This bank was made with the encoder {card.encoder}, not with "
            f"{encoder.name} as loaded now: load that model, or paint again."
        )
    size, unit = pixel_size(scan)
    if card.patch_size is None and size is None:
        return encoder.stride / card.patch
    if card.patch_size is None or size is None or unit is None or card.unit is None:
        which = "the bank's" if card.patch_size is None else f"{scan.name}'s"
        raise RetrieveError(
            f"Bank and scan cannot be compared because {which} pixel size is unknown: "
            "enter it first."
        )
    in_pixels = card.patch_size * LENGTHS[card.unit] / (size * LENGTHS[unit])
    zoom = encoder.stride / in_pixels
    if not ZOOM_RANGE[0] <= zoom <= ZOOM_RANGE[1]:
        raise RetrieveError(
            f"One patch of this bank is {card.patch_size:.4g} {card.unit}, that is "
            f"{in_pixels:.3g} pixels of {scan.name}: too different in magnification."
        )
    return zoom


def combine(a: BankFile, b: BankFile) -> BankFile:
    """One bank of two of the same encoder and zoom; classes are joined by name."""
    same = a.card.encoder_key == b.card.encoder_key
    sizes = (_metres(a.card), _metres(b.card))
    alike = (
        a.card.patch == b.card.patch
        if None in sizes
        else math.isclose(sizes[0] or 0, sizes[1] or 0, rel_tol=0.05)
    )
    if not same or not alike or a.rows.patches.shape[1:] != b.rows.patches.shape[1:]:
        raise RetrieveError(
            f"The banks of {a.card.source} and {b.card.source} differ in encoder or in "
            "the size of a patch; make the second one again at the zoom of the first."
        )
    classes = list(a.card.classes)
    names = {entry.name: entry.id for entry in classes}
    table = np.arange(256, dtype=np.uint8)
    for entry in b.card.classes:
        if entry.name not in names:
            names[entry.name] = max(names.values(), default=0) + 1
            classes.append(replace(entry, id=names[entry.name]))
        table[entry.id] = names[entry.name]
    table[UNLABELLED] = UNLABELLED
    start = int(a.rows.stroke.max(initial=0)) + 1
    moved = replace(b.rows, patches=table[b.rows.patches], stroke=b.rows.stroke + start)
    both = a.thumbnails is not None and b.thumbnails is not None
    thumbnails = np.concatenate([a.thumbnails, b.thumbnails]) if both else None
    card = replace(
        a.card, classes=tuple(classes), source=f"{a.card.source} + {b.card.source}"
    )
    pixels = [file.pixels for file in (a, b) if file.pixels is not None]
    if b.pixels is not None:
        pixels[-1] = replace(
            b.pixels,
            classes=table[b.pixels.classes],
            stroke=b.pixels.stroke + start,
        )
    known = PixelSamples.join(pixels) if pixels else None
    return BankFile(Rows.join([a.rows, moved]), card, thumbnails, known)


def _metres(card: BankCard) -> float | None:
    if card.patch_size is None or card.unit is None:
        return None
    return card.patch_size * LENGTHS[card.unit]
