"""Follow what is called: each named function of the package once, in order."""

from __future__ import annotations

import ast
import os
import sys
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import napari_sesami

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType

PACKAGE = f"{os.sep}napari_sesami{os.sep}"
SKIPPED = ("<lambda>", "<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<module>")


class Hops:
    """Notes each function of the package at its first call, in whatever thread.

    Properties, special methods (`__init__` …), lambdas, class bodies and comprehensions
    are no hops: whoever reads the code does not leave the line for them. Threads are
    followed that begin after :meth:`listen`, as soon as :meth:`count` is entered.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.counting = False
        self.names: list[str] = []
        """`room/file: Class.function` in order; those marked → enter another file."""
        self._file = file
        self._seen: set[CodeType] = set()

    @contextmanager
    def listen(self) -> Iterator[Hops]:
        """Hook into this thread and all that begin from now on."""
        read_places()
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield self
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @contextmanager
    def count(self) -> Iterator[None]:
        """Count what is called inside."""
        self.counting = True
        try:
            yield
        finally:
            self.counting = False

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if (
            not self.counting
            or event != "call"
            or PACKAGE not in code.co_filename
            or code in self._seen
        ):
            return
        self._seen.add(code)
        if not is_hop(code):
            return
        caller = frame.f_back
        while caller and PACKAGE not in caller.f_code.co_filename:
            caller = caller.f_back
        inside = caller is not None and caller.f_code.co_filename == code.co_filename
        place = code.co_filename.partition(PACKAGE)[2]
        self.names.append(f"{' ' if inside else '→'} {place}: {code.co_qualname}")
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{self.names[-1]}\n")


def is_hop(code: CodeType) -> bool:
    """Whether a reader follows this call to another place."""
    name = code.co_name
    if name in SKIPPED or (name.startswith("__") and name.endswith("__")):
        return False
    return code.co_firstlineno not in _no_hops(code.co_filename)


def read_places() -> None:
    """Read the whole package before anything is followed.

    Python 3.11 may fail to parse inside of a profile function ("recursion depth
    mismatch"), so nothing is parsed there.
    """
    for path in Path(napari_sesami.__file__).parent.rglob("*.py"):
        _no_hops(str(path))


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


def tell(flow: str, names: list[str]) -> tuple[int, int]:
    """Print the list, and give the calls, and those of them that enter a file.

    `scripts/measure_house.py` reads the first line.
    """
    entered = sum(name.startswith("→") for name in names)
    files = {name[2:].partition(": ")[0] for name in names}
    told = f"{len(names)} calls, {entered} into another file, {len(files)} files"
    print(f"\nflow {flow}: {told}")
    for number, name in enumerate(names, 1):
        print(f"{number:4} {name}")
    return len(names), entered


def follow_process(path: str) -> None:
    """Follow this whole process; its hops are appended to a file, one a line."""
    hops = Hops(Path(path))
    hops.counting = True
    read_places()
    threading.setprofile(hops._note)
    sys.setprofile(hops._note)
