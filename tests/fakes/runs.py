"""Runs for the tests of the panel: a real, small training with real pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from napari_sesami.train import RunConfig
from tests.fakes.grey_model import GreyModel
from tests.fakes.tiny_recipe import Tiny, TinyConfig

ROOT = Path(__file__).parents[2]
RECIPE = "tests.fakes.runs:Shown"


class Shown(Tiny):
    """Learns XOR and draws it."""

    name = "tiny"
    Config = TinyConfig

    def pictures(self, folder: Path) -> list[Path]:
        import imageio.v3 as iio

        rng = np.random.default_rng(len(list(folder.parent.iterdir())))
        paths = [folder / f"object-{i}.png" for i in range(2)]
        for path in paths:
            iio.imwrite(path, rng.integers(0, 255, (48, 96, 3), np.uint8))
        return paths


def config(steps: int = 40, nap: float = 0.0, **more) -> RunConfig:
    """A run of a second or two; `nap` seconds are slept in each step."""
    more = {"evaluate_every": 10, "picture_every": 10, "device": "cpu"} | more
    options = TinyConfig(nap=nap)
    return RunConfig(RECIPE, steps=steps, recipe_options=options, **more)


def importable(monkeypatch) -> None:
    """Let worker processes find this file."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


class Movable(GreyModel):
    """Says that it lies on a graphics card, and notes where it is sent."""

    device = torch.device("cuda")

    def __init__(self) -> None:
        super().__init__(128)
        self.moves: list[str] = []

    def to(self, device: str):
        self.device = torch.device(device)
        self.moves.append(device)
        return self


def judged_run(session, *, wins: bool):
    """A run in the project that has finished, with an adapter and its verdict."""
    from napari_sesami.models import add_lora, describe, load_prompt_model, save_adapter
    from napari_sesami.train import Run, Verdict
    from napari_sesami.train.run.folder import RunFolder

    folder = session.runs.root / "20261120-111111-sesami"
    options = {"device": "cpu", "steps": 10}
    home = RunFolder.create(folder, RunConfig("sesami", **options))
    model = load_prompt_model("sesami-nano", "cpu")
    add_lora(model, 4)
    card = describe(model, classes=("pad", "via"), created="2026-11-20T11:11:11Z")
    save_adapter(folder / "adapter" / "adapter.safetensors", model, card)
    numbers(wins).write(folder)
    told = [
        {"event": "started", "step": 0},
        *({"event": "step", "step": n, "loss": 1 / n} for n in range(1, 11)),
        {"event": "ended", "reason": "finished", "sentence": "All 10 steps are done."},
    ]
    lines = "".join(json.dumps({"t": 0.0, **event}) + "\n" for event in told)
    (folder / "events.jsonl").write_text(lines)
    home.write_status({"state": "finished"})
    assert Verdict.read(folder).wins is wins
    return Run(folder)


def orphan(session):
    """A run in the project that ended when its window went away."""
    from napari_sesami.train.run.folder import RunFolder

    home = RunFolder.create(session.runs.root / "20261120-121212-tiny", config())
    told = [
        {"event": "started", "step": 0},
        {"event": "step", "step": 1, "loss": 0.5},
        {"event": "ended", "reason": "orphan", "sentence": "The window went away."},
    ]
    lines = "".join(json.dumps({"t": 0.0, **event}) + "\n" for event in told)
    home.events.write_text(lines)
    home.write_status({"state": "cancelled"})


def numbers(wins: bool):
    """A verdict with a class that gains and one that loses."""
    from napari_sesami.train import Verdict

    def row(name, before, after):
        rows = zip(before, after, strict=True)
        keys = ("mIoU", "clicks 1", "clicks to 0.9")
        was, now = zip(*rows, strict=True)
        told = {"before": dict(zip(keys, was, strict=True))}
        told |= {"after": dict(zip(keys, now, strict=True))}
        return {"class": name, "objects": 4, **told}

    rows = [
        row("pad", (0.6, 0.5, 4.0), (0.77, 0.6, 3.0)),
        row("via", (0.8, 0.7, 2.0), (0.78, 0.7, 2.0)),
    ]
    mean = row("", (0.7, 0.6, 3.0), (0.775, 0.65, 2.5))
    word = "better" if wins else "not better"
    sentence = f"mIoU on 8 held-out objects 0.700 → 0.775: {word}."
    return Verdict(wins, sentence, rows, mean["before"], mean["after"], [], 8)
