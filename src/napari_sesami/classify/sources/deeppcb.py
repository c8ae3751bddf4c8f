"""DeepPCB's layout: aligned pictures of boards, good ones as templates, and boxes.

`N_test.jpg` is a board, `N_temp.jpg` the good one, and `N.txt` has a line
`x1 y1 x2 y2 class` for each defect (`PCBData/groupX/N/` with `N_not/` works, too).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.classify.defect import Defect
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.picture import DefectPicture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}
BOARD = 5
"""Digits of a picture's name that tell the board."""
HIGH, LOW = 48, 144
"""Sides of the cuts around a box at least, pixels; a large box widens both."""


def is_deeppcb(folder: Path) -> bool:
    """Tell by a picture of a board that has a good one beside it."""
    return next(_boards(folder), None) is not None


def defects_of_deeppcb(folder: Path) -> list[Defect]:
    """Cut a defect around every box; lot and wafer are the board."""
    defects = []
    for test, template, boxes in _boards(folder):
        name = test.stem.removesuffix("_test")
        for k, line in enumerate(boxes.read_text("ascii", "replace").splitlines()):
            try:
                x0, y0, x1, y1, number = (
                    int(w) for w in line.replace(",", " ").split()
                )
            except ValueError:
                if not line.strip():
                    continue
                raise ClassifyError(
                    f"Line {k + 1} of {boxes} is not x1 y1 x2 y2 class."
                ) from None
            middle = (y0 + y1) // 2, (x0 + x1) // 2
            side = max(HIGH, int(1.25 * max(y1 - y0, x1 - x0)))
            high, low = around(middle, side), around(middle, max(LOW, 2 * side))
            defects.append(
                Defect(
                    f"{name}-{k + 1}",
                    _picture(folder, test, high), _picture(folder, test, low),
                    _picture(folder, template, high),
                    lot=name[:BOARD], wafer=name,
                    label=NAMES.get(number, f"class {number}"), labelled_by="file",
                )
            )  # fmt: skip
    return defects


def around(middle: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """Give the square of a side around a place."""
    y0, x0 = middle[0] - side // 2, middle[1] - side // 2
    return y0, x0, y0 + side, x0 + side


def _picture(folder: Path, file: Path, box: tuple[int, int, int, int]) -> DefectPicture:
    return DefectPicture(file.relative_to(folder).as_posix(), folder, box=box)


def _boards(folder: Path) -> Iterator[tuple[Path, Path, Path]]:
    for pattern in ("*_test.jpg", "*/*_test.jpg", "*/*/*_test.jpg", "*/*/*/*_test.jpg"):
        for test in sorted(folder.glob(pattern)):
            name = test.stem.removesuffix("_test")
            template = test.with_name(f"{name}_temp.jpg")
            beside = test.with_name(f"{name}.txt")
            apart = test.parent.with_name(f"{test.parent.name}_not") / f"{name}.txt"
            boxes = beside if beside.is_file() else apart
            if template.is_file() and boxes.is_file():
                yield test, template, boxes
