"""From a run of `foundation` to the bundled weights, their card and the curves."""

from __future__ import annotations

import argparse
import io
import json
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sesami.models import NAME, NanoNet, save_nano
from napari_sesami.train import Checkpoints, RunConfig, TrainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CURVES = {
    "IoU on training scenes": ("click1", "click3", "click5", "corrected", "box"),
    "loss": ("loss", "vote"),
    "share of right votes": ("right",),
}


def average_net(run: Path) -> tuple[NanoNet, dict[str, Any]]:
    """The averaged weights of a run so far, and what is known of it.

    `run` is its folder, or a file `state.pt` of the trainer before the one engine.
    """
    state = run / "state.pt" if run.is_dir() else run
    if state.is_file():
        old = torch.load(state, map_location="cpu", weights_only=True)
        net = NanoNet(old["settings"]["dim"])
        net.load_state_dict(old["average"])
        return net, {**old["settings"], "steps run": old["step"]}
    found = Checkpoints(run / "checkpoints").newest(print)
    if found is None:
        raise TrainError(f"{run} has no checkpoint; give the folder of a run.")
    step, parts = found
    file = io.BytesIO(parts["optimiser.pt"])
    kept = torch.load(file, map_location="cpu", weights_only=True)["recipe"]
    net = NanoNet(**kept["net"])
    net.load_state_dict(kept["average"])
    config = RunConfig.from_toml(run / "run.toml")
    return net, run_facts(config, step)


def run_facts(config: RunConfig, step: int) -> dict[str, Any]:
    """What the card tells of a run."""
    own = {k: getattr(config, k) for k in ("steps", "batch", "rate", "seed")}
    options = asdict(config.recipe_options)
    options["lessons"] = list(options["lessons"])  # as JSON gives them back
    return {**own, **options, "steps run": step}


def write_bundle(
    net: NanoNet,
    run: dict[str, Any],
    folder: Path,
    numbers: dict[str, Any] | None = None,
) -> Path:
    """Write `sesami-nano.safetensors` and its JSON card."""
    folder.mkdir(parents=True, exist_ok=True)
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


def read_curves(log: Path) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Curves of a run: (steps, values) by name; steps done twice count once."""
    lines = {}
    for text in log.read_text().splitlines():
        line = json.loads(text)
        if line.pop("event", "step") == "step":
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

    curves = read_curves(log)
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
    write_bundle(*average_net(args.run), args.folder, numbers)
    if args.curves:
        draw_curves(args.run / "events.jsonl", args.curves)


if __name__ == "__main__":
    main()
