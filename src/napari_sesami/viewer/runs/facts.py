"""What curves and pictures need to know of a run, read from its events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.train import Run

    Points = tuple[list[float], list[float]]

NONE: Points = ([], [])
ACCEPTED = "accepted "
"""What the keys of a class's health begin with."""


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
    for event in _events(run, "metrics"):
        value = event.get("metrics", {}).get(key)
        if isinstance(value, int | float):
            points[float(event["step"])] = float(value)
    steps = sorted(points)
    return steps, [points[step] for step in steps]


def health_points(run: Run | None) -> dict[str, Points]:
    """Share of each class's pseudo-labels that was accepted, over the steps."""
    if run is None:
        return {}
    found = {}
    for key in run.logged:
        if key.startswith(ACCEPTED):
            steps, values = run.curve(key)
            found[key.removeprefix(ACCEPTED)] = ([float(s) for s in steps], values)
    return found


def score_key(run: Run) -> str:
    """The metric by which the recipe tells the best."""
    from napari_sesami.train import Recipe, loaded_recipe

    return (loaded_recipe(run.config.recipe) or Recipe).score  # looking runs nothing


def pictures_of(run: Run | None) -> list[tuple[Path, str]]:
    """Sample predictions and their captions, the newest step first."""
    if run is None:
        return []
    told = _events(run, "picture")
    told.sort(key=_step, reverse=True)  # stable: the order within a step stays
    inside = {path.relative_to(run.folder).as_posix(): path for path in run.pictures}
    shown = [(inside.get(Path(str(e.get("path"))).as_posix()), e) for e in told]
    return [(path, f"step {_step(e)}") for path, e in shown if path is not None]


def _step(event: dict[str, Any]) -> int:
    return int(event.get("step", 0))


def _events(run: Run, kind: str) -> list[dict[str, Any]]:
    return [event for event in list(run.events) if event.get("event") == kind]
