"""Damaged files of every format, opened in processes of their own, and counted.

``python -m tests.trust.fuzz [CASES]`` prints the counts for docs/reliability.md.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import dask
import h5py
import numpy as np
import tifffile
import zarr
from PIL import Image

from napari_sesami.scan import ScanError, list_images, open_scan
from tests.fakes import made_files

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 20261128
SECONDS, MEMORY = 20, 4 * 2**30
FINE, SENTENCE, FOREIGN = 0, 10, 11
ENDINGS = (".tif", ".dm3", ".h5", ".png", ".ser", ".mrc", ".txrm", ".emd", ".dcm")
FIXTURES = Path(__file__).parents[3] / "shared" / "data" / "format_fixtures"


def originals(folder: Path) -> list[Path]:
    """Write a whole file of each kind; real ones join them where they are at hand."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (5, 48, 64), dtype=np.uint8)
    tifffile.imwrite(folder / "plain.tif", pixels, metadata=None)
    tifffile.imwrite(folder / "zlib.tif", pixels, compression="zlib", metadata=None)
    tifffile.imwrite(folder / "lzw.tif", pixels, compression="lzw", metadata=None)
    for name in ("zstd", "lzma", "packbits", "jpeg2000", "jpegxr", "lerc", "webp"):
        packed = np.repeat(pixels[:1, ..., None], 3, -1)[0]  # WebP takes colours alone
        tifffile.imwrite(
            folder / f"{name}.tif", packed, compression=name, photometric="rgb"
        )
    rgb = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    tifffile.imwrite(folder / "jpeg.tif", rgb, compression="jpeg", photometric="rgb")
    tifffile.imwrite(folder / "tile.tif", rgb, tile=(16, 16), photometric="rgb")
    tifffile.imwrite(folder / "a.ome.tif", pixels, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "j.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
    for name in ("a.png", "a.jpg", "a.bmp"):
        Image.fromarray(rgb).save(folder / name)
    Image.fromarray(pixels[0]).save(folder / "grey.png")
    with h5py.File(folder / "plain.h5", "w") as file:
        file["v"] = pixels
    with h5py.File(folder / "packed.h5", "w") as file:
        file.create_dataset("v", data=pixels, chunks=(1, 48, 64), compression="gzip")
    with h5py.File(folder / "n.nxs", "w") as file:
        group = file.create_group("entry")
        group.attrs["NX_class"], group.attrs["signal"] = "NXdata", "data"
        group.attrs["axes"] = ["z", "y", "x"]
        group["data"] = pixels
        for name, n in zip("zyx", pixels.shape, strict=True):
            group[name] = np.arange(n) * 0.5
            group[name].attrs["units"] = "nm"
    with h5py.File(folder / "b.emd", "w") as file:
        group = file.create_group("data/one")
        group.attrs["emd_group_type"] = 1
        group["data"] = pixels
        for i, n in enumerate(pixels.shape, 1):
            group[f"dim{i}"] = np.arange(n) * 0.5
            group[f"dim{i}"].attrs["units"] = "n_m"
    made_files.dm3(folder / "a.dm3", {"data": pixels[0]})
    made_files.xrm(folder / "a.txrm", pixels.astype(np.float32))
    files = [p for p in folder.iterdir() if p.is_file()]
    if FIXTURES.is_dir():
        real = (p for p in FIXTURES.rglob("*") if p.suffix not in ("", ".txt", ".zip"))
        for path in sorted(p for p in real if p.stat().st_size < 20 * 2**20):
            files.append(Path(shutil.copy(path, folder / path.name)))
    zarr.save(str(folder / "a.zarr"), pixels)
    return sorted(files)


def damaged(raw: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Damage the bytes of a file in one of seven ways."""
    data = bytearray(raw)
    size = len(data)
    way = int(rng.integers(7))
    if way == 0:
        return "truncated", bytes(data[: int(rng.integers(size))])
    if way in (1, 2, 3):
        name = ("head", "anywhere", "tail")[way - 1]
        reach = min(512, size) if name == "head" else size
        low = max(0, size - 512) if name == "tail" else 0
        for at in rng.integers(low, reach, int(rng.choice([4, 16, 64]))):
            data[at] = int(rng.integers(256))
        return f"flipped, {name}", bytes(data)
    if way == 4:
        at = int(rng.integers(size))
        data[at : at + 256] = bytes(len(data[at : at + 256]))
        return "zeroed", bytes(data)
    if way == 5:
        width = int(rng.choice([2, 4, 8]))
        at = int(rng.integers(max(1, min(2048, size - 8))))
        huge = [2**31 - 1, 2**32 - 1, 200_000, 2**15 - 1][int(rng.integers(4))]
        mask = huge & (2 ** (8 * width) - 1)
        data[at : at + width] = mask.to_bytes(width, "little")
        return "huge numbers", bytes(data)
    return "doubled", bytes(data[: size // 2] + data)


def cases(
    files: list[Path], place: Path, count: int, seed: int
) -> Iterator[tuple[str, Path]]:
    """Write one damaged file after the other."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        source = files[number % len(files)]
        way, data = damaged(source.read_bytes(), rng)
        ending = "".join(source.suffixes[-2:])
        if rng.random() < 0.05:
            way, ending = "wrong ending", str(rng.choice(ENDINGS))
        path = place / f"{number}{ending}"
        path.write_bytes(data)
        yield way, path
        path.unlink(missing_ok=True)


def try_one(path: Path) -> int:
    """Open and read a file; return what came of it."""
    try:
        for image in list_images(path)[:4]:
            scan = open_scan(path, image.key)
            scan.plane(0)
            scan.plane(scan.n_planes - 1)
            assert scan.normalisation and scan.content_hash
    except ScanError as error:
        return SENTENCE if "\n" not in str(error) else FOREIGN
    except BaseException as error:
        print(f"{path.name}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
        return FOREIGN
    return FINE


def apart(path: Path) -> str:
    """Try a file in a child with bounded time and memory."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS * 4)  # of the clock, on a machine that may be busy
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        warnings.simplefilter("ignore")
        logging.disable()
        os._exit(try_one(path))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        late = os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL)
        return "hung" if late else f"crashed ({os.WTERMSIG(status)})"
    known = {FINE: "fine", SENTENCE: "sentence", FOREIGN: "foreign"}
    return known.get(os.WEXITSTATUS(status), "foreign")


def main(count: int = 1500, seed: int = SEED) -> Counter[tuple[str, str]]:
    """Try so many damaged files; count by way of damage and outcome."""
    found: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as home:
        os.environ["SESAMI_HOME"] = str(Path(home) / "home")
        place = Path(home) / "try"
        (Path(home) / "whole").mkdir()
        place.mkdir()
        files = originals(Path(home) / "whole")
        dask.config.set(scheduler="synchronous")  # threads do not outlive a fork
        for path in files:
            try_one(path)  # libraries are imported once, here
        for way, path in cases(files, place, count, seed):
            result = apart(path)
            if result not in ("fine", "sentence"):
                print(way, path.name, result, flush=True)
                shutil.copy(path, Path(tempfile.gettempdir()) / f"bad-{path.name}")
            found[way, result] += 1
    return found


if __name__ == "__main__":
    outcomes = main(int(sys.argv[1]) if len(sys.argv) > 1 else 1500)
    for (way, result), number in sorted(outcomes.items()):
        print(f"{way:20} {result:12} {number}")
    total: Counter[str] = Counter()
    for (_, result), number in outcomes.items():
        total[result] += number
    print("total", dict(total))
