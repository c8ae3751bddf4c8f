"""Draw the picture of docs/architecture.md from the imports as they are.

Dark arrows are needed to know who stands on whom; pale ones only skip a floor.

python scripts/draw_rooms.py [ROOT]
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from matplotlib.figure import Figure

from measure_house import House

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "rooms.png"
# From the top down; a room that is not there (yet) is left out.
FLOORS = (
    ("cli", "viewer", "lab"),
    ("worklist", "batch"),
    ("session",),
    ("project", "train"),
    ("prompt", "retrieve", "suggest", "measure", "classify"),
    ("models",),
    ("scan", "noise"),
)
COLOURS = {"viewer": "#cfe3f5", "cli": "#cfe3f5", "lab": "#eadcf2"}
WIDTH, HEIGHT = 1.5, 0.62


def draw(root: Path, path: Path) -> None:
    """Draw rooms as boxes, and an arrow where files of one import the other."""
    house = House(root)
    size = Counter[str]()
    for module in house.modules.values():
        size[module.room] += module.lines
    arrows = Counter[tuple[str, str]]()
    for module in house.modules.values():
        for target in module.eager | module.lazy:
            parts = target.split(".")
            if len(parts) > 1 and parts[1] != module.room and parts[1] != "common":
                arrows[module.room, parts[1]] += 1
    places = {}
    for floor, names in enumerate(FLOORS):
        there = [name for name in names if size[name]]
        for i, name in enumerate(there):
            places[name] = (1.8 * (i - (len(there) - 1) / 2), -1.25 * floor)
    figure = Figure(figsize=(8, 7.4), dpi=90)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(-4.6, 4.6), ylim=(-1.25 * len(FLOORS) - 0.5, 0.7))
    for (start, end), count in arrows.items():
        if start not in places or end not in places:
            continue
        (x0, y0), (x1, y1) = places[start], places[end]
        level = y0 == y1
        between = set(places) - {start, end}
        skips = any(arrows[start, m] and arrows[m, end] for m in between)
        side = HEIGHT / 2
        axes.annotate(
            "",
            (x1 - WIDTH / 2 if level and x1 > x0 else x1, y1 if level else y1 + side),
            (x0 + WIDTH / 2 if level and x1 > x0 else x0, y0 if level else y0 - side),
            arrowprops={
                "arrowstyle": "-|>",
                "color": "#b9c6d3" if skips else "#2f4b66",
                "linewidth": 0.7 if skips else 0.8 + min(count, 40) / 20,
                "zorder": 0 if skips else 1,
                "connectionstyle": "arc3,rad=0.08",
            },
        )
    for name, (x, y) in places.items():
        _box(axes, x, y, WIDTH, COLOURS.get(name, "#e7efe0"), name, size[name])
    floor = -1.25 * len(FLOORS)
    _box(axes, 0, floor, 8.4, "#f0ece2", "common: for every room", size["common"])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    print(path)


def _box(
    axes: object, x: float, y: float, width: float, colour: str, name: str, lines: int
) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = (x - width / 2, y - HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.12"
    box = FancyBboxPatch(
        corner,
        width,
        HEIGHT,
        boxstyle=style,
        facecolor=colour,
        edgecolor="#56708a",
        zorder=2,
    )
    axes.add_patch(box)
    axes.text(x, y + 0.09, name, ha="center", va="center", fontsize=12, zorder=3)
    told = f"{lines / 1000:.1f} k lines"
    axes.text(
        x, y - 0.16, told, ha="center", va="center", fontsize=8, color="#555", zorder=3
    )


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT, PICTURE)
