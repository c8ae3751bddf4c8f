"""`sesami segment`: label scans by a bank or a segmenter, without a window."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.cli.checks import check_writable
from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sesami.models import Segmenter
    from napari_sesami.scan import Scan


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    segment = commands.add_parser("segment", help="label scans by a bank or a run")
    segment.add_argument("scan", type=Path, help="a scan, or a folder of scans")
    segment.add_argument("-b", "--bank", type=Path, help="a .bank file")
    segment.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path(),
        help="a file (.ome.tif, .ome.zarr) or a folder for the labels",
    )
    segment.add_argument(
        "-m", "--model", default="sesami-nano",
        help="a run of the recipe semi (its folder), which labels without a bank; or "
        "the token encoder of the bank",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Label every plane of one scan, or of each scan in a folder."""
    scans = _scans(arguments.scan)
    segmenter = None
    if arguments.bank is None:
        from napari_sesami.models import Segmenter

        if not Path(arguments.model).exists():
            raise SesamiError(
                "Nothing says how to label: give --bank FILE, or --model RUN, the "
                "folder of a finished run of the recipe semi."
            )
        segmenter = Segmenter.load(arguments.model)
    elif not arguments.bank.is_file():
        raise SesamiError(f"There is no bank {arguments.bank}; give a .bank file.")
    check_writable(arguments.out.parent if arguments.out.suffix else arguments.out)
    failed = 0
    for path in scans:
        try:
            target = _segment_one(path, arguments, segmenter)
            print(f"{path} → {target}")
        except SesamiError as error:
            if len(scans) == 1:
                raise
            print(f"sesami: {error}", file=sys.stderr)  # the others are done first
            failed += 1
    return 1 if failed else 0


def _scans(given: Path) -> list[Path]:
    from napari_sesami.scan import readable_extensions

    if not given.is_dir() or given.suffix == ".zarr":
        return [given]
    endings = tuple(readable_extensions())
    inside = (p for p in given.iterdir() if p.name.lower().endswith(endings))
    found = sorted(p for p in inside if "_labels." not in p.name)
    if not found:
        raise SesamiError(f"{given} holds no scan that can be read.")
    return found


def _segment_one(
    path: Path, arguments: argparse.Namespace, segmenter: Segmenter | None
) -> Path:
    from napari_sesami.scan import ClassSpec, open_scan, save_labels

    scan = open_scan(path)
    classes: Any
    if segmenter is not None:
        from napari_sesami.project import default_color

        names = {i: n for i, n in segmenter.card.classes.items() if i}
        classes = [ClassSpec(i, n, default_color(i - 1)) for i, n in names.items()]
        labels = _labels(scan, lambda plane: segmenter.segment_scan(scan, plane).labels)
    else:
        from napari_sesami.models import load_token_encoder
        from napari_sesami.session import Session

        session = Session(scan)
        session.retrieval.encoder = load_token_encoder(arguments.model)
        session.retrieval.teach(arguments.bank)
        classes = list(session.classes)
        labels = _labels(scan, lambda plane: session.segment(planes=plane).labels[0])
    out: Path = arguments.out
    folder = out.suffix == "" or out.is_dir() or arguments.scan.is_dir()
    if folder:
        out.mkdir(parents=True, exist_ok=True)
    name = f"{path.name.split('.')[0]}_labels.ome.tif"
    target = out / name if folder else out
    save_labels(labels, target, like=scan, classes=classes)
    return target


def _labels(scan: Scan, label: Callable[[int], Any]) -> NDArray[np.uint8]:
    """All planes, one at a time: votes are never kept for a whole volume."""
    out = np.zeros((scan.n_planes, *scan.plane_shape), np.uint8)
    for plane in range(scan.n_planes):
        out[plane] = label(plane)
        if scan.n_planes > 1:
            print(f"\r{plane + 1} of {scan.n_planes} planes", end="", file=sys.stderr)
    if scan.n_planes > 1:
        print(file=sys.stderr)
    return out.reshape(*scan.leading_shape, *scan.plane_shape)
