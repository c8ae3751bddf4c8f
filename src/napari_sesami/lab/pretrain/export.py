"""From a run of `foundation` to the bundled weights, their card and the curves."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sesami.models import NAME, NanoNet, save_nano

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CURVES = {
    "IoU on training scenes": ("click1", "click3", "click5", "box"),
    "loss": ("loss", "vote"),
    "share of right votes": ("right",),
}


def average_net(checkpoint: Path) -> tuple[NanoNet, dict[str, Any]]:
    """The averaged weights of a checkpoint, and what is known of the run."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net = NanoNet(state["settings"]["dim"])
    net.load_state_dict(state["average"])
    return net, {
        "steps": state["step"],
        **state["settings"],
        "steps run": state["step"],
    }


def export(
    checkpoint: Path, folder: Path, numbers: dict[str, Any] | None = None
) -> Path:
    """Write `sesami-nano.safetensors` and its JSON card."""
    folder.mkdir(parents=True, exist_ok=True)
    net, run = average_net(checkpoint)
    path = folder / f"{NAME}.safetensors"
    save_nano(net, path)
    card = {
        "name": NAME,
        "title": "sesami-nano, the bundled model",
        "licence": "BSD-3-Clause",
        "non_commercial": False,
        "card": "Trained from scratch by this project on procedural scans alone; no "
        "real image was used. See docs/model-card.md.",
        "parameters": sum(p.numel() for p in net.parameters()),
        "run": run,
        "numbers": numbers or {},
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")
    return path


def read_events(log: Path) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Curves of a run: (steps, values) by name; steps done twice count once."""
    lines = {}
    for text in log.read_text().splitlines():
        line = json.loads(text)
        lines[line["step"]] = line
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for step in sorted(lines):
        for name, value in lines[step].items():
            if value == value:  # a batch without boxes has no box score
                found[name].append((step, float(value)))
    return {k: (np.array(v)[:, 0], np.array(v)[:, 1]) for k, v in found.items()}


def smooth(values: NDArray[Any], over: int = 40) -> NDArray[Any]:
    """Running mean that starts with what there is."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - over, 0)
    return (total[last] - total[first]) / (last - first)


def draw_curves(log: Path, path: Path) -> None:
    """Draw the curves of a run for the model card."""
    from matplotlib.figure import Figure

    curves = read_events(log)
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for axis, (title, names) in zip(figure.subplots(1, 3), CURVES.items(), strict=True):
        for name in names:
            if name in curves:
                steps, values = curves[name]
                axis.plot(steps, smooth(values), label=name, lw=1.2)
        axis.set(title=title, xlabel="step")
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> None:
    """Export a run: weights and card into FOLDER, curves into PNG."""
    ap = argparse.ArgumentParser(description=main.__doc__)
    ap.add_argument("run", type=Path)
    ap.add_argument("folder", type=Path)
    ap.add_argument("--curves", type=Path)
    ap.add_argument("--numbers", type=Path, help="JSON of `sesami evaluate`")
    args = ap.parse_args(argv)
    numbers = json.loads(args.numbers.read_text()) if args.numbers else None
    export(args.run / "state.pt", args.folder, numbers)
    if args.curves:
        draw_curves(args.run / "events.jsonl", args.curves)


if __name__ == "__main__":
    main()
