"""Looking at runs, cards and lists runs nothing; one broken thing breaks no list."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from napari_sesami.cli import main
from napari_sesami.models import catalog
from napari_sesami.train import ForeignRecipe, Run, RunConfig, Runs, TrainError
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.run.launch import environment, worker_command

if TYPE_CHECKING:
    from pathlib import Path

STRANGE = """
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
from dataclasses import dataclass
import torch
from torch import nn
from napari_sesami.train import Recipe

@dataclass(frozen=True)
class Options:
    side: int = 2

class Strange(Recipe):
    name, Config = "strange", Options
    n_examples = 4
    def prepare(self, device):
        return nn.Linear(2, 1)
    def example(self, index, rng):
        return {"x": torch.ones(2)}
    def loss(self, batch, generator):
        return {"loss": batch["x"].sum() * 0 + 1}
"""


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run whose recipe is a stranger's, and the recipe's file."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "strange_recipe.py").write_text(STRANGE)
    monkeypatch.syspath_prepend(str(code))
    run = tmp_path / "runs" / "20260101-000000-strange"
    run.mkdir(parents=True)
    toml = '[run]\nrecipe = "strange_recipe:Strange"\nsteps = 2\n[strange]\nside = 3\n'
    (run / "run.toml").write_text(toml)
    (run / "version").write_text("1\n")
    return run


def ran(run: Path) -> bool:
    return (run.parents[1] / "code" / "ran").exists()


def test_a_list_of_runs_imports_nothing(strange: Path, capsys) -> None:
    (run,) = Runs(strange.parent).list()
    assert run.config.recipe_options.side == 3
    assert main(["runs", "list", str(strange.parent)]) == 0
    assert main(["runs", "show", str(strange)]) == 0
    assert "strange_recipe:Strange" in capsys.readouterr().out
    assert not ran(strange) and "strange_recipe" not in sys.modules
    assert RunConfig.from_toml(run.config.to_toml()) == run.config


def test_it_is_run_only_after_its_user_agreed_to_this_very_file(
    strange: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    run = Run(strange)
    for go in (run.resume, run.detach, lambda: Runs(strange.parent).start(run.config)):
        with pytest.raises(ForeignRecipe, match=r"Strange in .*strange_recipe\.py"):
            go()
    assert main(["runs", "resume", str(strange)]) == 1
    assert "would execute code" in capsys.readouterr().err
    assert not ran(strange)
    started = []
    run.starter = lambda: started.append(1)
    run.resume(trust=True)
    run.resume()  # it is remembered
    code = strange.parents[1] / "code" / "strange_recipe.py"
    code.write_text(STRANGE + "\n# changed\n")
    with pytest.raises(ForeignRecipe):
        run.resume()
    assert started == [1, 1] and not ran(strange)


def test_the_worker_takes_nothing_from_the_current_folder(
    strange: Path, tmp_path: Path
) -> None:
    """A file beside the scans that is called as a library is not run."""
    trap = tmp_path / "scans"
    trap.mkdir()
    for name in ("psutil", "random", "tifffile", "numpy", "sitecustomize"):
        (trap / f"{name}.py").write_text(
            "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch()\n"
        )
    code = strange.parents[1] / "code"
    command = [*worker_command(strange, code=code), "--dry"]
    env = environment() | {"PYTHONPATH": environment()["PYTHONPATH"]}
    done = subprocess.run(
        command, cwd=trap, env=env, capture_output=True, text=True, timeout=240
    )
    assert not list(trap.glob("*.ran"))
    assert ran(strange), done.stderr  # the worker does run the recipe


def test_an_empty_entry_of_the_path_is_not_the_current_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", "/abs", "rel"]))
    told = environment()
    assert told["PYTHONPATH"] == "/abs" and told["PYTHONSAFEPATH"] == "1"


@pytest.mark.parametrize(
    "recipe", ["..:X", ".a:B", "this:x y", "os.path", "a:b:c", "antigravity:X; x", ""]
)
def test_odd_names_of_recipes_are_a_sentence(recipe: str) -> None:
    with pytest.raises(TrainError) as caught:
        RunConfig.from_toml(f"[run]\nrecipe = {json.dumps(recipe)}\n")
    assert "\n" not in str(caught.value)


def test_one_broken_run_does_not_break_the_list(strange: Path) -> None:
    good = RunFolder.create(strange.parent / "good", RunConfig("sesami"))
    for i, text in enumerate(["", "[run", '[run]\nrecipe="..:X"', "a=" + "[" * 5000]):
        folder = strange.parent / f"bad{i}"
        folder.mkdir()
        (folder / "run.toml").write_text(text)
    linked = strange.parent / "linked"
    linked.symlink_to(good.path)
    runs = Runs(strange.parent)
    assert {run.folder.name for run in runs.list()} == {"good", strange.name}
    assert len(runs.unreadable) == 5
    assert all("\n" not in text for text in runs.unreadable.values())


def test_a_run_whose_parts_are_links_is_refused(strange: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("checkpoints", "commands", "worker.log", "status.json"):
        (strange / name).symlink_to(tmp_path / "elsewhere")
        runs = Runs(strange.parent)
        assert runs.list() == [] and len(runs.unreadable) == 1
        (strange / name).unlink()


def test_pictures_outside_of_a_run_are_not_shown(strange: Path) -> None:
    lines = [
        {"t": 1.0, "event": "picture", "path": path, "step": 1}
        for path in ("../../secret.png", "/etc/passwd", "pictures/a.png")
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (strange / "events.jsonl").write_text(text)
    run = Run(strange)
    run.monitor.watch()
    for _ in range(100):
        if run.events:
            break
        run.wait(0.05)
    assert run.pictures in ([], [strange / "pictures" / "a.png"])


@pytest.mark.parametrize(
    "text", ["[1]", "null", "3", '"x"', "{", "{}", '{"title": 3}', "[" * 100_000]
)
def test_one_odd_card_does_not_break_the_catalog(text: str) -> None:
    folder = catalog.folder() / "odd"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(text)
    (folder / "weights.safetensors").write_bytes(b"")
    assert [entry.name for entry in catalog.entries()] == ["sesami-nano"]


def test_nothing_is_fetched_whose_checksum_is_unknown() -> None:
    from napari_sesami.models import ModelError
    from napari_sesami.models.known import KNOWN

    for known in KNOWN:
        if known.sha256 is None:
            with pytest.raises(ModelError, match="could not be checked"):
                catalog.download(known.name)
