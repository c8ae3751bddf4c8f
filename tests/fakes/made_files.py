"""Instrument files written by hand, byte by byte, where no real one is at hand."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

DM_TYPES = {"int16": 1, "float32": 2, "complex64": 3, "uint8": 6, "uint16": 10}


def dm3(path: Path, *images: dict[str, Any], order: str = "<") -> Path:
    """Write a DM3 file. Each image: data, and optionally name, scale, units, type."""
    listed = b"".join(_dm_group("", _dm_image(image, order)) for image in images)
    body = _dm_head(len(images)) + listed
    root = b"\x01\x00" + struct.pack(">I", 1) + _dm_group("ImageList", body)
    path.write_bytes(
        struct.pack(">III", 3, len(root), int(order == "<")) + root + b"\0" * 8
    )
    return path


def _dm_head(count: int) -> bytes:
    return b"\x00\x00" + struct.pack(">I", count)


def _dm_group(name: str, body: bytes) -> bytes:
    return b"\x14" + struct.pack(">H", len(name)) + name.encode() + body


def _dm_tag(name: str, kinds: list[int], value: bytes) -> bytes:
    head = b"\x15" + struct.pack(">H", len(name)) + name.encode() + b"%%%%"
    return head + struct.pack(f">I{len(kinds)}I", len(kinds), *kinds) + value


def _dm_text(name: str, text: str, order: str) -> bytes:
    raw = text.encode("utf-16-le" if order == "<" else "utf-16-be")
    return _dm_tag(name, [20, 4, len(text)], raw)


def _dm_image(image: dict[str, Any], order: str) -> bytes:
    data: NDArray[Any] = image["data"]
    scale = image.get("scale", (1.0,) * data.ndim)
    units = image.get("units", ("",) * data.ndim)
    kind = image.get("type") or DM_TYPES[data.dtype.name]
    steps = [  # x first
        _dm_group(
            "",
            _dm_head(3)
            + _dm_tag("Origin", [6], struct.pack(order + "f", 0.0))
            + _dm_tag("Scale", [6], struct.pack(order + "f", s))
            + _dm_text("Units", u, order),
        )
        for s, u in zip(reversed(scale), reversed(units), strict=True)
    ]
    dims = [
        _dm_tag("", [5], struct.pack(order + "I", n))
        for n in reversed(image.get("shape", data.shape))
    ]
    pixels = data.astype(data.dtype.newbyteorder(order)).tobytes()
    content = (
        _dm_group(
            "Calibrations",
            _dm_head(1)
            + _dm_group("Dimension", _dm_head(len(steps)) + b"".join(steps)),
        )
        + _dm_tag("Data", [20, 10, len(pixels)], pixels)
        + _dm_tag("DataType", [5], struct.pack(order + "I", kind))
        + _dm_group("Dimensions", _dm_head(len(dims)) + b"".join(dims))
    )
    name = _dm_text("Name", image.get("name", "image"), order)
    return _dm_head(2) + _dm_group("ImageData", _dm_head(4) + content) + name


def ser(
    path: Path,
    planes: list[NDArray[Any]],
    step: tuple[float, float] = (1e-9, 1e-9),
    dims: tuple[tuple[int, float, str, str], ...] | None = None,
) -> Path:
    """Write a TIA series; planes are given as they should be seen. `step` is (y, x)."""
    types = ["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8", "c8", "c16"]
    head = b"II\x97\x01" + struct.pack("<H", 0x0220)
    head += struct.pack("<4i", 0x4122, 0x4152, len(planes), len(planes))
    dims = dims or ((len(planes), 1.0, "Number", ""),)
    axes = struct.pack("<i", len(dims))
    for size, delta, name, unit in dims:
        axes += struct.pack("<i2di", size, 0.0, delta, 0)
        axes += struct.pack("<i", len(name)) + name.encode()
        axes += struct.pack("<i", len(unit)) + unit.encode()
    table = len(head) + 8 + len(axes)
    offsets, blocks = [], b""
    start = table + 16 * len(planes)
    for plane in planes:
        offsets.append(start + len(blocks))
        kind = types.index(plane.dtype.str[1:]) + 1
        ny, nx = plane.shape
        blocks += struct.pack("<2di2dih2i", 0, step[1], 0, 0, step[0], 0, kind, nx, ny)
        blocks += plane[::-1].tobytes()
    places = struct.pack(f"<{2 * len(planes)}q", *offsets, *offsets)
    path.write_bytes(head + struct.pack("<q", table) + axes + places + blocks)
    return path


def emi(path: Path, mode: str) -> Path:
    """Write the part of an .emi that tells how the microscope was set."""
    text = (
        f"<ObjectInfo><Root><Data><Label>Mode</Label><Value>{mode}</Value><Unit></Unit>"
        f"</Data></Root></ObjectInfo>"
    )
    path.write_bytes(b"\x4a\x4b\x00" + text.encode() + b"\x00\x01")
    return path


SECTOR, MINI, CUTOFF = 512, 64, 4096
END, FREE, FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def ole(path: Path, streams: dict[str, bytes], scatter: bool = False) -> Path:
    """Write a compound document (as Zeiss does). `scatter` shuffles its sectors."""
    names, entries = _ole_tree(streams)
    mini, mini_fat, sectors, chains = b"", [], [], []
    for name in names:
        raw = streams.get(name)
        if raw is None or len(raw) >= CUTOFF:
            continue
        entries[name]["start"] = len(mini_fat)
        count = -(-len(raw) // MINI)
        first = len(mini_fat)
        mini_fat += [*range(first + 1, first + count), END]
        mini += raw.ljust(count * MINI, b"\0")
    blobs: dict[str, bytes] = {n: streams[n] for n in names if n in streams}
    big = {n: raw for n, raw in blobs.items() if len(raw) >= CUTOFF}
    big["/mini"], big["/minifat"] = mini, struct.pack(f"<{len(mini_fat)}I", *mini_fat)
    big["/dir"] = b"\0" * 128 * (len(names) + 1)
    for name, raw in big.items():
        cut = [raw[i : i + SECTOR] for i in range(0, len(raw), SECTOR)]
        chains.append((name, list(range(len(sectors), len(sectors) + len(cut)))))
        sectors += [piece.ljust(SECTOR, b"\0") for piece in cut]
    order = np.arange(len(sectors))
    if scatter:
        order = np.random.default_rng(0).permutation(order)
    place = {name: [int(order[i]) for i in chain] for name, chain in chains}
    fat = [FREE] * len(sectors)
    for chain in place.values():
        for a, b in zip(chain, [*chain[1:], END], strict=True):
            fat[a] = b
    for name in big:
        if name in entries:
            entries[name]["start"] = place[name][0]
    root = {"start": place["/mini"][0] if mini else END, "size": len(mini)}
    directory = _ole_directory(names, entries, root)
    spread: list[bytes] = [b""] * len(sectors)
    for i, piece in enumerate(sectors):
        spread[int(order[i])] = piece
    for i, sector in enumerate(place["/dir"]):
        spread[sector] = directory[i * SECTOR : (i + 1) * SECTOR].ljust(SECTOR, b"\0")
    n_fat = -(-(len(fat) + len(fat) // 100 + 2) // 128)
    table = fat + [FAT] * n_fat
    table += [FREE] * (n_fat * 128 - len(table))
    head = _ole_header(n_fat, len(fat), place, len(mini_fat))
    packed = struct.pack(f"<{len(table)}I", *table)
    path.write_bytes(head + b"".join(spread) + packed)
    return path


def _ole_header(
    n_fat: int, first_fat: int, place: dict[str, list[int]], n_mini: int
) -> bytes:
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16
    head += struct.pack("<5H6x", 0x3E, 3, 0xFFFE, 9, 6)
    first_mini = place["/minifat"][0] if n_mini else END
    head += struct.pack("<3I", 0, n_fat, place["/dir"][0])
    head += struct.pack("<6I", 0, CUTOFF, first_mini, len(place["/minifat"]), END, 0)
    listed = [first_fat + i for i in range(n_fat)] + [FREE] * (109 - n_fat)
    return head + struct.pack("<109I", *listed)


def _ole_tree(streams: dict[str, bytes]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Names of storages and streams, and for each what its directory entry says."""
    names: list[str] = []
    for name in streams:
        storage = name.rpartition("/")[0]
        if storage and storage not in names:
            names.append(storage)
        names.append(name)
    entries: dict[str, dict[str, Any]] = {
        n: {"start": 0, "size": len(streams.get(n, b"")), "stream": n in streams}
        for n in names
    }
    return names, entries


def _ole_directory(
    names: list[str], entries: dict[str, dict[str, Any]], root: dict[str, int]
) -> bytes:
    """Directory entries; siblings form a list to the right instead of a tree."""
    number = {name: i for i, name in enumerate(names, 1)}

    def children(parent: str) -> list[str]:
        inside = [n for n in names if n.rpartition("/")[0] == parent]
        return sorted(inside, key=lambda n: (len(n), n.upper()))

    rights = {}
    for parent in ["", *[n for n in names if not entries[n]["stream"]]]:
        row = children(parent)
        rights |= dict(zip(row, [*[number[n] for n in row[1:]], FREE], strict=True))
    first = {p: number[children(p)[0]] for p in ["", *names] if children(p)}
    rows = [_ole_entry("Root Entry", 5, FREE, first[""], root["start"], root["size"])]
    for name in names:
        entry = entries[name]
        kind = 2 if entry["stream"] else 1
        rows.append(
            _ole_entry(
                name.rpartition("/")[2],
                kind,
                rights[name],
                first.get(name, FREE),
                entry["start"],
                entry["size"],
            )
        )
    return b"".join(rows)


def _ole_entry(
    name: str, kind: int, right: int, child: int, start: int, size: int
) -> bytes:
    raw = name.encode("utf-16-le")
    head = raw.ljust(64, b"\0") + struct.pack("<H2B", len(raw) + 2, kind, 1)
    head += struct.pack("<3I", FREE, right, child) + b"\0" * 36
    return head + struct.pack("<IQ", start, size)


def xrm(path: Path, stack: NDArray[Any], size: float = 0.5, **changes: bytes) -> Path:
    """Write a Zeiss X-ray file with the streams that matter."""
    kind = {"uint8": 3, "uint16": 5, "float32": 10}[stack.dtype.name]
    n, height, width = stack.shape
    info = {
        "ImageWidth": struct.pack("<i", width),
        "ImageHeight": struct.pack("<i", height),
        "DataType": struct.pack("<i", kind),
        "NoOfImages": struct.pack("<i", n),
        "ImagesTaken": struct.pack("<i", n),
        "PixelSize": struct.pack("<f", size),
        "Angles": np.linspace(-45, 45, n).astype("<f4").tobytes(),
    } | changes
    streams = {f"ImageInfo/{k}": v for k, v in info.items() if v}
    for i, plane in enumerate(stack, 1):
        streams[f"ImageData{(i - 1) // 100 + 1}/Image{i}"] = plane.tobytes()
    return ole(path, streams, scatter=path.suffix == ".txm")
