"""The command line `sesami`: the same rooms as the docks, without a window.

Each verb is a file of this folder with `add_parser(commands)` and `run(arguments)`;
what is heavy, such as torch, is imported when a verb runs.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sesami import __version__
from napari_sesami.cli.checks import not_written
from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["VERBS", "build_parser", "main"]

VERBS = (
    "demo",
    "doctor",
    "self-test",
    "info",
    "models",
    "segment",
    "measure",
    "classify",
    "replay",
    "worklist",
    "evaluate",
    "active",
    "train",
    "runs",
)
"""Names of the commands, and of the files that hold them, in the order of the help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 1 after one plain sentence on stderr."""
    parser = build_parser()
    given = sys.argv[1:] if argv is None else argv
    if not given:
        parser.print_help()
        return 0
    arguments = parser.parse_args(given)
    try:
        code: int = _file(arguments.verb).run(arguments)
    except SesamiError as error:  # anything else is a bug
        print(f"sesami: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sesami: {not_written(error)}", file=sys.stderr)
        return 1
    except MemoryError:
        print("sesami: The memory does not suffice for that.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sesami: stopped.", file=sys.stderr)
        return 130
    return code


def build_parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = argparse.ArgumentParser(
        prog="sesami",
        description="Clicks and strokes on semiconductor scans become masks.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(
        title="commands", dest="verb", required=True, metavar="COMMAND"
    )
    for verb in VERBS:
        _file(verb).add_parser(commands)
    return parser


def _file(verb: str) -> Any:
    return import_module(f"{__name__}.{verb.replace('-', '_')}")
