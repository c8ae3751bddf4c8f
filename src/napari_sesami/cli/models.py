"""`sesami models …`: the catalog of weights on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sesami.models import catalog

if TYPE_CHECKING:
    import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    models = commands.add_parser(
        "models", help="list, import, download or remove models"
    )
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="what is installed, and what can be downloaded")
    info = actions.add_parser("info", help="one model in full")
    info.add_argument("name")
    take = actions.add_parser("import", help="install weights from a file")
    take.add_argument(
        "file", type=Path, help="or “lite0”: the weights of the extra “imagenet”"
    )
    take.add_argument("--name", help="name in the catalog (default: the file's name)")
    take.add_argument("--licence", default="", help="licence of the weights")
    fetch = actions.add_parser("download", help="fetch known weights over the network")
    fetch.add_argument("name")
    fetch.add_argument("--yes", action="store_true", help="accept the licence shown")
    remove = actions.add_parser("remove", help="delete an installed model")
    remove.add_argument("name")


def run(arguments: argparse.Namespace) -> int:
    """Do the action that was asked for."""
    match arguments.action:
        case "list":
            _list()
        case "info":
            print(catalog.info(arguments.name))
        case "import":
            name, licence = arguments.name, arguments.licence
            if str(arguments.file) == "lite0" and not arguments.file.exists():
                from napari_sesami.models import install_imagenet

                entry = install_imagenet(name or "lite0")
            else:
                entry = catalog.import_file(arguments.file, name, licence)
            print(f"Installed {entry.name} ({entry.architecture}).")
        case "download":
            return _download(arguments.name, arguments.yes)
        case "remove":
            catalog.remove(arguments.name)
            print(f"Removed {arguments.name}.")
    return 0


def _list() -> None:
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


def _download(name: str, accepted: bool) -> int:
    """Fetch weights over the network, after the licence was shown and accepted."""
    print(catalog.info(name))
    if not accepted and not _confirmed():
        print("Nothing was downloaded.")
        return 1
    entry = catalog.download(name, progress=_show)
    print(f"\nInstalled {entry.name}.")
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
