"""The pool: pictures without labels, read from scans and kept in the run's folder.

They are copied, so that a run does not care what becomes of the scans, and brought to
the scale of the labelled ones. What it could be judged on is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from napari_sesami.common.cancel import check_cancelled
from napari_sesami.common.checked import read_arrays, read_checked
from napari_sesami.common.disk import write_json
from napari_sesami.common.errors import SesamiError
from napari_sesami.common.inside import FileName, inside
from napari_sesami.measure import scan_files
from napari_sesami.noise import instrument_of
from napari_sesami.scan import open_scan
from napari_sesami.train.errors import TrainError
from napari_sesami.train.sesami.pictures import LEVELS, Picture, resampled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from napari_sesami.scan import Scan

FOLDER, INDEX = "pool", "pool.json"
MOST_PLANES = 48
"""Planes of one scan: neighbours look alike."""
MOST_PIXELS = 1 << 27
"""Of the whole pool, so that a run's memory stays bounded."""
FARTHEST = 4.0
"""Magnification beyond which a scan is not resampled."""
SMALLEST = 32


@dataclass(frozen=True)
class Pool:
    """Pictures without labels.

    Attributes
    ----------
    pictures
        (y, x) uint16 each, 65535 the end of its scan's normalisation.
    names
        Of their scans.
    notes
        What people should know: what was left out or resampled, and why.
    """

    pictures: tuple[NDArray[np.uint16], ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())


def collect_pool(
    given: Iterable[str | Path | Scan] | str | Path,
    *,
    pixel_size: float | None = None,
    unit: str | None = None,
    modality: str = "",
    held: Collection[tuple[str, int]] = (),
) -> Pool:
    """Read the pool from folders, files or scans.

    Parameters
    ----------
    given
        What holds scans; label files are passed over.
    pixel_size, unit
        Of the labelled pictures: scans of other sizes are resampled, up to four times
        larger or smaller.
    modality
        Of the labelled scans: others are left out.
    held
        Content hash and plane of what judges the run: it must not be learnt from.

    Raises
    ------
    TrainError
        Nothing is left; the sentence says why.
    """
    if isinstance(given, str | Path):
        given = [given]
    scans: list[Scan] = []
    notes: list[str] = []
    for item in given:
        if not isinstance(item, str | Path):
            scans.append(item)
            continue
        try:
            files = scan_files([item])
        except SesamiError as error:
            raise TrainError(f"The unlabelled pool: {error}") from error
        for path in files:
            try:
                scans.append(open_scan(path))
            except SesamiError as error:
                notes.append(f"{path.name} was left out of the pool: {error}")
    own = instrument_of(modality)
    pictures: list[NDArray[np.uint16]] = []
    names: list[str] = []
    total = skipped = judged = unknown = resized = 0
    for scan in scans:
        check_cancelled()
        theirs = instrument_of(scan.modality)
        if own and theirs and own != theirs:
            notes.append(
                f"{scan.name} was left out of the pool: it is {scan.modality}, the "
                f"labelled scans are {modality}."
            )
            continue
        at = scan.axes.index("y")
        size, its = scan.pixel_size[at], scan.units[at]
        known = size is not None and pixel_size is not None and its == unit
        factor = size / pixel_size if known else 1.0  # type: ignore[operator]
        if not 1 / FARTHEST <= factor <= FARTHEST:
            notes.append(
                f"{scan.name} was left out of the pool: its pixels are {size:g} {its} "
                f"wide, those of the labelled scans {pixel_size:g} {unit}."
            )
            continue
        unknown += not known
        planes = np.arange(scan.n_planes)
        if len(planes) > MOST_PLANES:
            planes = np.linspace(0, scan.n_planes - 1, MOST_PLANES).round().astype(int)
        used = False
        for plane in planes.tolist():
            if held and (scan.content_hash, plane) in held:
                judged += 1
                continue
            if total >= MOST_PIXELS:
                skipped += 1
                continue
            try:
                grey = np.rint(scan.grey(plane) * LEVELS).astype(np.uint16)
            except SesamiError as error:
                notes.append(f"{scan.name} was left out of the pool: {error}")
                break
            if not 1 / 1.02 <= factor <= 1.02:
                nothing = np.zeros(grey.shape, np.uint8)
                whole = Picture(grey, nothing, nothing.astype(np.int32), "", 0, size)
                grey = resampled(whole, float(pixel_size or 0)).grey
                used = True
            if min(grey.shape) < SMALLEST:
                skipped += 1
                continue
            pictures.append(grey)
            names.append(scan.name)
            total += grey.size
        resized += used
    if resized:
        notes.append(
            f"{resized} scans of the pool have another magnification and were "
            f"resampled to {pixel_size:g} {unit}."
        )
    if unknown:
        notes.append(
            f"The pixel size of {unknown} scans of the pool cannot be compared with "
            "that of the labelled ones: they are taken as equally large."
        )
    if judged:
        notes.append(
            f"{judged} pictures of the pool are those that judge the run, and were "
            "left out of it."
        )
    if skipped:
        notes.append(f"{skipped} pictures of the pool were too small or too many.")
    if not pictures:
        why = notes[0] if notes else "There is no scan in it that can be read."
        raise TrainError(
            f"The unlabelled pool is empty. {why} Give a folder of scans like the "
            "labelled ones, or take preset “supervised+noise”, which needs none."
        )
    return Pool(tuple(pictures), tuple(names), tuple(notes))


class _PoolRow(TypedDict):
    file: FileName
    scan: str


class _PoolIndex(TypedDict):
    """The file ``pool.json``."""

    pictures: list[_PoolRow]
    notes: list[str]


def write_pool(data: Path, pool: Pool) -> None:
    """Write a pool into the `data` of a run."""
    folder = data / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (grey, name) in enumerate(zip(pool.pictures, pool.names, strict=True)):
        file = f"{number:05d}.npz"
        np.savez(folder / file, grey=grey)
        rows.append({"file": file, "scan": name})
    write_json(folder / INDEX, {"pictures": rows, "notes": list(pool.notes)})


def read_pool(data: Path) -> Pool:
    """Read the pool of a run; it is empty if there is none."""
    folder = data / FOLDER
    if not (folder / INDEX).is_file():
        return Pool((), ())
    try:
        index = read_checked(folder / INDEX, _PoolIndex, most=1 << 26)
        pictures = [
            read_arrays(inside(folder, row["file"]), {"grey": (None, "u")})["grey"]
            for row in index["pictures"]
        ]
        if any(p.ndim != 2 or p.dtype != np.uint16 for p in pictures):
            raise TrainError("a picture is no plane of grey pixels")
    except (OSError, SesamiError) as error:
        raise TrainError(
            f"The unlabelled pictures in {folder} are damaged ({error}); start the run "
            "again from its session."
        ) from error
    names = tuple(row["scan"] for row in index["pictures"])
    return Pool(tuple(pictures), names, tuple(index["notes"]))
