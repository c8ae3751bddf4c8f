"""`sesami models …`: the catalog of weights on the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from napari_sesami.models import catalog

if TYPE_CHECKING:
    import argparse


def list_(arguments: argparse.Namespace) -> int:
    """Print what is installed, and what could be downloaded on request."""
    rows = [
        (e.name, e.kind, e.source, f"{e.size / 1e6:.0f} MB", e.device, _licence(e))
        for e in catalog.entries()
    ]
    rows += [
        (k.name, k.kind, "downloadable", _size(k.size), "", _licence(k))
        for k in catalog.available()
    ]
    header = ("NAME", "GIVES", "FROM", "SIZE", "DEVICE", "LICENCE")
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def info(arguments: argparse.Namespace) -> int:
    """Print everything known of one model."""
    print(catalog.info(arguments.name))
    return 0


def import_(arguments: argparse.Namespace) -> int:
    """Install weights from a file."""
    entry = catalog.import_file(arguments.file, arguments.name, arguments.licence)
    print(f"Installed {entry.name} ({entry.architecture}).")
    return 0


def download(arguments: argparse.Namespace) -> int:
    """Fetch weights over the network, after the licence was shown and accepted."""
    print(catalog.info(arguments.name))
    if not arguments.yes and not _confirmed():
        print("Nothing was downloaded.")
        return 1
    entry = catalog.download(arguments.name, progress=_show)
    print(f"\nInstalled {entry.name}.")
    return 0


def remove(arguments: argparse.Namespace) -> int:
    """Delete a model that the user installed."""
    catalog.remove(arguments.name)
    print(f"Removed {arguments.name}.")
    return 0


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        print("Add --yes to accept the licence and download.", file=sys.stderr)
        return False
    return input("Download these weights under this licence? [y/N] ").lower() == "y"


def _show(done: int, total: int | None) -> None:
    share = f" of {total / 1e6:.0f}" if total else ""
    print(f"\r{done / 1e6:.0f}{share} MB", end="", flush=True)


def _size(size: int | None) -> str:
    return f"{size / 1e6:.0f} MB" if size else "?"


def _licence(model: catalog.Entry | catalog.Known) -> str:
    mark = " (NOT FOR COMMERCIAL USE)" if model.non_commercial else ""
    return f"{model.licence}{mark}"
