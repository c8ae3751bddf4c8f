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

    from napari_sesami.scan import SampleData, Scan
    from napari_sesami.session import Session

OBJECTS_PER_CLASS = 3
SURE = 0.8  # IoU of a mask that one would keep as it is
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
    """Click objects of a sample, paint strokes, write pictures, labels and a table."""
    from napari_sesami.cli import demo_sheet
    from napari_sesami.scan import load_sample, save_labels
    from napari_sesami.session import Session

    sample = load_sample(key)
    session = Session(sample.scan)
    for entry in sample.classes:
        session.classes.add(entry.name, color=entry.color)
    plane = sample.scan.n_planes // 2
    aims = targets(sample, plane)
    print(f"Sample {key}: {sample.scan.name}, slice {plane}.")
    print(f"1. Click {len(aims)} objects: once inside, once where the first mask errs.")
    rows = [_click(session, sample, plane, *target) for target in aims]
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.asarray(session.labels)
    names = ("image.png", "masks.png", "labels.ome.tif", "objects.csv", "sheet.png")
    paths = [folder / f"{key}_{name}" for name in names]
    rgb = demo_sheet.grey_of(sample.scan, plane)
    colors = demo_sheet.palette([entry.color for entry in sample.classes])
    clicked = labels.reshape(-1, *labels.shape[-2:])[plane]
    masks = demo_sheet.coloured(rgb, clicked, colors, 0.4)
    _write_pictures(rgb, masks, paths[0], paths[1])
    save_labels(labels, paths[2], like=sample.scan)
    _write_table(rows, sample, paths[3])
    strokes = _strokes(sample, plane)
    session.paint(strokes, plane=plane)
    began = time.perf_counter()
    found = session.segment(planes=[plane])
    seconds = time.perf_counter() - began
    truth = _truth_plane(sample, plane)
    right = float((found.labels[0] == truth)[truth > 0].mean())
    print(
        f"2. Paint one short stroke in each of {len(np.unique(strokes)) - 1} classes: "
        f"the slice is labelled in {seconds:.1f} s, {right:.0%} of its pixels as in "
        "the truth."
    )
    print("3. Ask where the strokes are in doubt: the next one teaches most there.")
    best = np.sort(found.votes[0], axis=-1)
    doubt = 1 - (best[..., -1] - best[..., -2])
    painted = demo_sheet.coloured(rgb, strokes, colors, 1.0)
    sure = sum(row.iou >= SURE for row in rows)
    used = [e for e in sample.classes if (truth == e.id).any()]
    labelled = demo_sheet.coloured(rgb, found.labels[0], colors, 0.45)
    tiles = [
        demo_sheet.tile(
            painted, f"The scan, and one short stroke in each of {len(used)} classes"
        ),
        demo_sheet.tile(
            labelled,
            f"Labelled from them in {seconds:.1f} s: {right:.0%} right",
        ),
        demo_sheet.tile(
            masks,
            f"{len(rows)} objects by two clicks each, {sure} with an IoU over {SURE:g}",
            [row.yx for row in rows],
        ),
        demo_sheet.tile(
            demo_sheet.heated(rgb, doubt), "Where the strokes are in doubt: go on there"
        ),
    ]
    demo_sheet.draw_sheet(
        paths[4], f"{sample.title or sample.scan.name} · napari-sesami", tiles,
        [(e.color, e.name) for e in used], _pixel_of(sample.scan, rgb.shape),
    )  # fmt: skip
    print(f"4. Show {paths[4].name} to somebody.")
    return paths


def _strokes(sample: SampleData, plane: int) -> NDArray[np.uint8]:
    """Paint a short line in the thickest place of each class of the truth."""
    from napari_sesami.train import deepest

    truth = _truth_plane(sample, plane)
    strokes = np.zeros(truth.shape, np.uint8)
    for entry in sample.classes:
        mask = truth == entry.id
        if mask.sum() < SMALLEST:
            continue
        (y, x), depth = deepest(mask)
        thick, half = max(1, min(4, int(depth) - 1)), truth.shape[1] // 20
        line = np.zeros_like(mask)
        line[max(0, y - thick) : y + thick, max(0, x - half) : x + half] = True
        strokes[line & mask] = entry.id
    return strokes


def _pixel_of(scan: Scan, shape: tuple[int, ...]) -> tuple[float, str] | None:
    """Width of a pixel of the sheet, and its unit."""
    from napari_sesami.cli.demo_sheet import SIDE

    at = -2 if scan.is_rgb else -1
    size, unit = scan.pixel_size[at], scan.units[at]
    if size is None or unit is None:
        return None
    return size * max(shape[:2]) / SIDE, unit


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
    rgb: NDArray[np.uint8], masks: NDArray[np.uint8], image: Path, over: Path
) -> None:
    import imageio.v3 as iio

    iio.imwrite(image, rgb)
    iio.imwrite(over, masks)


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
