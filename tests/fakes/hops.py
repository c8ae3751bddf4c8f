"""Follow what is called: each named function of the package once, in order."""

from __future__ import annotations

import ast
import json
import os
import sys
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType, FrameType

PACKAGE = f"{os.sep}napari_sesami{os.sep}"
SKIPPED = ("<lambda>", "<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<module>")


class Hops:
    """Notes each function of the package at its first call, in whatever thread.

    Properties, special methods (`__init__` …), lambdas, class bodies and comprehensions
    are no hops: whoever reads the code does not leave the line for them.
    """

    def __init__(self) -> None:
        self._seen: dict[CodeType, str] = {}

    def __enter__(self) -> Hops:
        threading.setprofile(self._note)  # of threads that begin from now on
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def names(self) -> list[str]:
        """`room/file: Class.function`, in order of the first call."""
        return [
            f"{code.co_filename.partition(PACKAGE)[2]}: {code.co_qualname}"
            for code in list(self._seen)
            if is_hop(code)
        ]

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and PACKAGE in frame.f_code.co_filename:
            self._seen.setdefault(frame.f_code, threading.current_thread().name)


def is_hop(code: CodeType) -> bool:
    """Whether a reader follows this call to another place."""
    name = code.co_name
    if name in SKIPPED or (name.startswith("__") and name.endswith("__")):
        return False
    return code.co_firstlineno not in _no_hops(code.co_filename)


@cache
def _no_hops(path: str) -> frozenset[int]:
    """First lines of the properties and class bodies of a file."""
    found = set()
    for node in ast.walk(ast.parse(Path(path).read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            lines = [node.lineno, *(d.lineno for d in node.decorator_list)]
            found.add(min(lines))
        elif isinstance(node, ast.FunctionDef) and any(
            "property" in ast.unparse(d) or ".setter" in ast.unparse(d)
            for d in node.decorator_list
        ):
            found.add(min(d.lineno for d in node.decorator_list))
    return frozenset(found)


def tell(flow: str, names: list[str]) -> None:
    """Print the list; `scripts/measure_house.py` reads the first line."""
    files = {name.partition(": ")[0] for name in names}
    print(f"\nflow {flow}: {len(names)} hops in {len(files)} files")
    for number, name in enumerate(names, 1):
        print(f"{number:4} {name}")


def follow_process(path: str) -> None:
    """Follow this whole process and write its hops to a file when it ends."""
    import atexit

    hops = Hops().__enter__()
    atexit.register(lambda: Path(path).write_text(json.dumps(hops.names)))
