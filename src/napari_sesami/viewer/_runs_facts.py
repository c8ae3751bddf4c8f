"""What curves and pictures need to know of a run, read from its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.train import Run

    Points = tuple[list[float], list[float]]

NONE: Points = ([], [])


def loss_points(run: Run | None) -> Points:
    """The loss over the steps."""
    if run is None:
        return NONE
    steps, values = run.curve("loss")
    return [float(s) for s in steps], list(values)


def held_points(run: Run | None) -> Points:
    """What held-out objects say, over the steps; begins with the base model at 0."""
    if run is None:
        return NONE
    key = score_key(run)
    points: dict[float, float] = {}
    for event in list(run.events):
        value = event.get(key) if event.get("event") == "metrics" else None
        if isinstance(value, int | float):
            points[float(event.get("step", 0))] = float(value)
    steps = sorted(points)
    return steps, [points[step] for step in steps]


def score_key(run: Run) -> str:
    """The metric by which the recipe tells the best."""
    from napari_sesami.train._recipe import recipe_class

    return recipe_class(run.config.recipe).score


def pictures_of(run: Run | None) -> list[tuple[Path, str]]:
    """Sample predictions and their captions, the newest first."""
    if run is None:
        return []
    steps = {_name(e): int(e.get("step", 0)) for e in list(run.events) if _name(e)}
    found = []
    for path in reversed(run.pictures):
        step = steps.get(path.name)
        found.append((path, path.stem if step is None else f"step {step}"))
    return found


def _name(event: dict[str, Any]) -> str:
    if event.get("event") != "picture":
        return ""
    return str(event.get("path", "")).replace("\\", "/").rsplit("/", 1)[-1]
