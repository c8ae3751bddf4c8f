"""`sesami info`: what a file holds and its pixel size."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from napari_sesami.cli.checks import a_path

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from napari_sesami.scan import Scan


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    info = commands.add_parser("info", help="say what a file holds and its pixel size")
    info.add_argument("scan", type=a_path, nargs="+")


def run(arguments: argparse.Namespace) -> int:
    """Print one line for every image of every file."""
    from napari_sesami.scan import ScanError, list_images, open_scan

    failed = 0
    for path in arguments.scan:
        try:
            images = list_images(path)
            for image in images:
                scan = open_scan(path, image.key)
                print(_describe(path, scan, image.key if len(images) > 1 else ""))
        except ScanError as error:
            print(f"sesami: {error}", file=sys.stderr)
            failed = 1
    return failed


def _describe(path: Path, scan: Scan, key: str) -> str:
    sizes = [
        f"{axis} unknown" if size is None else f"{axis} {size:.6g} {unit}"
        for axis, size, unit in zip(scan.axes, scan.pixel_size, scan.units, strict=True)
        if axis != "c"
    ]
    shape = " × ".join(str(n) for n in scan.shape)
    label = f"{path} [{key}]" if key else f"{path}"
    return f"{label}: {shape} {scan.data.dtype}, pixel size {', '.join(sizes)}"
