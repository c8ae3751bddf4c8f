"""`sesami demo`: the main job on a sample, in napari or, without a screen, headless."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.cli.checks import check_writable
from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from napari_sesami.scan import SampleData
    from napari_sesami.session import Session

OBJECTS_PER_CLASS = 3
SMALLEST = 60  # pixels; smaller truth objects are not worth a click in a demonstration


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    demo = commands.add_parser(
        "demo", help="open a sample, ready to click; without a screen, do it headless"
    )
    demo.add_argument("-s", "--sample", help="key of the sample (default: the first)")
    demo.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("sesami-demo"),
        help="folder for the pictures and the table of a headless run",
    )
    demo.add_argument("--headless", action="store_true", help="open no window")


def run(arguments: argparse.Namespace) -> int:
    """Open napari on a sample, or do the same steps headless and print the paths."""
    from napari_sesami.cli.doctor import has_screen
    from napari_sesami.scan import list_samples

    key = arguments.sample or list_samples()[0]
    if has_screen() and not arguments.headless:
        from napari_sesami.viewer import run_demo

        run_demo(key)
        return 0
    if key not in list_samples():
        known = ", ".join(list_samples())
        raise SesamiError(f"There is no sample {key!r}; there are {known}.")
    check_writable(arguments.out)
    for path in headless(key, arguments.out):
        print(path)
    return 0


@dataclass(frozen=True)
class Clicked:
    """One object of the demonstration: what was clicked and how well it went."""

    name: str
    plane: int
    yx: tuple[int, int]
    pixels: int
    iou: float
    score: float
    seconds: float


def headless(key: str, folder: Path) -> list[Path]:
    """Click objects of a sample, commit them, write pictures, labels and a table."""
    from napari_sesami.scan import load_sample, save_labels
    from napari_sesami.session import Session

    sample = load_sample(key)
    session = Session(sample.scan)
    for entry in sample.classes:
        session.classes.add(entry.name, color=entry.color)
    plane = sample.scan.n_planes // 2
    print(f"Sample {key}: {sample.scan.name}, clicking on plane {plane}")
    rows = [
        _click(session, sample, plane, *target) for target in targets(sample, plane)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.asarray(session.labels)
    paths = [
        folder / f"{key}_{n}" for n in ("image.png", "masks.png", "labels.ome.tif")
    ]
    _write_pictures(session, sample, plane, paths[0], paths[1])
    save_labels(labels, paths[2], like=sample.scan)
    return [*paths, _write_table(rows, sample, folder / f"{key}_objects.csv")]


def targets(sample: SampleData, plane: int) -> list[tuple[int, NDArray[np.bool_]]]:
    """The largest objects of each class in the truth, as (class id, mask)."""
    from scipy import ndimage

    truth = _truth_plane(sample, plane)
    found = []
    for entry in sample.classes:
        parts, n = ndimage.label(truth == entry.id)
        sizes = np.bincount(parts.ravel(), minlength=n + 1)[1:]
        for i in np.argsort(sizes)[::-1][:OBJECTS_PER_CLASS]:
            if sizes[i] >= SMALLEST:
                found.append((entry.id, parts == i + 1))
    return found


def _truth_plane(sample: SampleData, plane: int) -> NDArray[Any]:
    labels = np.asarray(sample.labels)
    return labels.reshape(-1, *labels.shape[-2:])[plane]


def _click(
    session: Session, sample: SampleData, plane: int, identity: int, truth: NDArray[Any]
) -> Clicked:
    """Click the deepest point of an object and, once, that of the first error."""
    from napari_sesami.train import deepest

    name = next(c.name for c in sample.classes if c.id == identity)
    first, _ = deepest(truth)
    points: list[tuple[float, float]] = [(float(first[0]), float(first[1]))]
    labels = [1]
    start = time.perf_counter()
    mask = session.prompt(points=points, labels=labels, plane=plane)
    wrong = mask.full ^ truth
    if wrong.any():
        (y, x), _ = deepest(wrong)
        points.append((float(y), float(x)))
        labels.append(int(truth[y, x]))
        mask = session.prompt(points=points, labels=labels, plane=plane)
    seconds = time.perf_counter() - start
    union = (mask.full | truth).sum()
    iou = float((mask.full & truth).sum() / union) if union else 0.0
    if mask.full.any():
        session.commit(mask, name, plane=plane)
    pixels = int(mask.full.sum())
    return Clicked(name, plane, first, pixels, iou, float(mask.score), seconds)


def _write_pictures(
    session: Session, sample: SampleData, plane: int, image: Path, masks: Path
) -> None:
    import imageio.v3 as iio

    raw = sample.scan.plane(plane) if sample.scan.is_rgb else None
    grey = (sample.scan.grey(plane) * 255).astype(np.uint8)
    rgb = np.asarray(raw) if raw is not None else np.repeat(grey[..., None], 3, -1)
    iio.imwrite(image, rgb.astype(np.uint8))
    labels = np.asarray(session.labels)
    labels = labels.reshape(-1, *labels.shape[-2:])[plane]
    colors = np.zeros((256, 3), np.float32)
    for entry in sample.classes:
        code = entry.color.lstrip("#")
        colors[entry.id] = [int(code[i : i + 2], 16) for i in (0, 2, 4)]
    over = np.where(labels[..., None] > 0, 0.5 * rgb + 0.5 * colors[labels], rgb)
    iio.imwrite(masks, over.astype(np.uint8))


def _write_table(rows: list[Clicked], sample: SampleData, path: Path) -> Path:
    """Write the objects as CSV and print them, areas in the scan's own unit."""
    size_y, size_x = (
        sample.scan.pixel_size[-2:]
        if not sample.scan.is_rgb
        else (sample.scan.pixel_size[-3:-1])
    )
    unit = next((u for u in reversed(sample.scan.units) if u), "px")
    area = (size_y or 1.0) * (size_x or 1.0)
    header = ["class", "plane", "y", "x", f"area ({unit}²)", "IoU", "score", "seconds"]
    print("  ".join(f"{title:>12}" for title in header))
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(header)
        for row in rows:
            cells = [row.name, row.plane, *row.yx, f"{row.pixels * area:.5g}"]
            cells += [f"{row.iou:.3f}", f"{row.score:.3f}", f"{row.seconds:.3f}"]
            table.writerow(cells)
            print("  ".join(f"{cell!s:>12}" for cell in cells))
    if rows:
        mean = np.mean([row.iou for row in rows])
        print(
            f"{len(rows)} objects, mean IoU with the truth after two clicks {mean:.3f}"
        )
    return path
