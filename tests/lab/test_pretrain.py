"""The recipe `foundation`: batches, losses, a tiny run that resumes bit for bit."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load
from tests.fakes.engine_help import losses, work

from napari_sesami.cli import main
from napari_sesami.lab.pretrain import prepare_run
from napari_sesami.lab.pretrain import recipe as foundation
from napari_sesami.lab.pretrain.batches import SIDE, SisterCrops
from napari_sesami.lab.pretrain.command import RECIPE
from napari_sesami.lab.pretrain.export import average_net, read_curves
from napari_sesami.lab.pretrain.export import main as export
from napari_sesami.lab.pretrain.losses import vote_loss
from napari_sesami.lab.pretrain.shards import (
    draw_in_background,
    open_shards,
    write_shard,
)
from napari_sesami.lab.tables.synthetic import objects, table
from napari_sesami.models import Nano, NanoNet
from napari_sesami.scan import Scan
from napari_sesami.train import Checkpoints, Run, RunConfig, RunFolder, TrainError
from napari_sesami.train.engine.sampling import RecipeDataset
from napari_sesami.train.sesami.clicks import Score, click_through, deepest
from napari_sesami.train.sesami.losses import (
    cell_iou,
    corrective_click,
    depth,
    mask_loss,
    quarter,
)
from napari_sesami.train.sesami.simulated import pick_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_shard(folder, 0, scenes=3)
    return folder


def test_shards_are_drawn_once(scenes: Path) -> None:
    path = scenes / "scenes_00000.npy"
    before = path.stat().st_mtime_ns
    write_shard(scenes, 0, scenes=3)
    assert path.stat().st_mtime_ns == before
    assert open_shards(scenes)[0].shape == (3, 4, 256, 512)


def recipe(folder: Path, more: str = "", own: str = "") -> foundation.Foundation:
    """The recipe in a folder, as the engine makes it."""
    return foundation.Foundation(config(more, own), folder)


def config(more: str = "", own: str = "") -> RunConfig:
    own = own if "warmup" in own else f"warmup = 1\n{own}"
    return RunConfig.from_toml(
        f'[run]\nrecipe = "{RECIPE}"\nsteps = 4\nbatch = 1\nrate = 8e-4\n'
        f'device = "cpu"\nprecision = "bf16"\n{more}\n'
        "[foundation]\nobjects = 2\ndim = 32\nshards = 1\n"
        f"drawers = 0\n{own}\n"
    )


def test_batch_is_a_function_of_its_place(tmp_path: Path, scenes: Path) -> None:
    (tmp_path / "scenes").symlink_to(scenes)
    made = [RecipeDataset(recipe(tmp_path), seed=5) for _ in range(2)]
    one, two = (examples[(3, 4)] for examples in made)
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not torch.equal(one["image"], made[0][(4, 5)]["image"])
    assert one["image"].shape == (4, 1, SIDE, SIDE)
    assert one["masks"].shape == (4, 2, SIDE, SIDE)
    clicks = one["points"][:, :, 0].long()
    inside = one["masks"][
        torch.arange(4)[:, None], torch.arange(2), clicks[..., 0], clicks[..., 1]
    ]
    assert bool(inside.all()), "the first click is on the object"


def test_new_shards_are_taken_in(tmp_path: Path, scenes: Path) -> None:
    folder = tmp_path / "scenes"
    folder.mkdir()
    crops, rng = SisterCrops(folder, objects=1), np.random.default_rng(0)
    with pytest.raises(FileNotFoundError, match="holds no scenes"):
        crops.draw(rng)
    shutil.copy(scenes / "scenes_00000.npy", folder)
    assert crops.draw(rng)["masks"].shape == (2, 1, SIDE, SIDE)


@pytest.mark.parametrize(("share", "documented"), [(0.0, False), (1.0, True)])
def test_the_share_of_documented_families_can_be_chosen(
    tmp_path: Path, share: float, documented: bool
) -> None:
    for number in (0, *range(90_000, 90_050)):  # 50 of them: 0.02 each
        shard = np.zeros((1, 4, 256, 512), np.uint8)
        shard[0, 1:3] = 1 if number else 2
        np.save(tmp_path / f"scenes_{number:05d}.npy", shard)
    crops = SisterCrops(tmp_path, objects=1, documented_share=share)
    drawn = crops.draw(np.random.default_rng(1))
    assert int(drawn["classes"].max()) == (1 if documented else 2)


def test_unlabelled_places_are_never_objects() -> None:
    regions = np.zeros((SIDE, SIDE), int)
    regions[10:40, 10:40] = 1
    mask = pick_object(
        np.random.default_rng(0), (regions > 0).astype(np.uint8), regions
    )
    assert np.array_equal(mask, regions == 1)


def test_mask_loss_falls_with_better_masks() -> None:
    truth = torch.zeros(1, 16, 16)
    truth[:, 4:10, 4:10] = 1
    good, bad = (truth[:, None] * 2 - 1) * 8, torch.zeros(1, 1, 16, 16)
    assert mask_loss(good, truth) < 0.05 < mask_loss(bad, truth)
    assert float(cell_iou(good, truth)) == 1


def test_thin_layers_do_not_vanish_in_the_truth() -> None:
    masks = torch.zeros(1, 64, 64, dtype=torch.bool)
    masks[:, 30, :] = True  # one pixel thick
    logits = torch.where(quarter(masks)[:, None] > 0, 5.0, -5.0)
    assert float(cell_iou(logits, quarter(masks))) == 1


def test_depth_is_largest_in_the_middle() -> None:
    region = torch.zeros(1, 11, 11, dtype=torch.bool)
    region[:, 2:9, 2:9] = True
    assert int(depth(region).flatten().argmax()) == 5 * 11 + 5


def test_corrective_click_goes_to_the_larger_error() -> None:
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[:, 16:48, 16:48] = True
    nothing, everything = torch.full((16, 16), -5.0), torch.full((16, 16), 5.0)
    everything[4:12, 4:12] = 5
    logits = torch.stack([nothing, everything])
    points, labels = corrective_click(logits, quarter(masks), masks, torch.Generator())
    assert labels.tolist() == [1, 0]
    assert bool(masks[0][tuple(points[0].long())])
    assert not bool(masks[1][tuple(points[1].long())])


def test_votes_of_good_tokens_are_right() -> None:
    classes = torch.zeros(2, 32, 32, dtype=torch.long)
    classes[:, :, 16:] = 1
    axis = torch.eye(4)[classes[:, 2::4, 2::4]].permute(0, 3, 1, 2)  # token = its class
    strokes, kinds = torch.tensor([[0, 7]] * 2), torch.tensor([[0, 1]] * 2)
    generator = torch.Generator().manual_seed(0)
    loss, right = vote_loss(axis, classes, strokes, kinds, torch.tensor(0.1), generator)
    assert float(right) == 1
    assert float(loss) < 0.01


@pytest.fixture
def begin(
    tmp_path: Path, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., RunFolder]]:
    """Make a run whose scenes are drawn already."""
    monkeypatch.setattr(foundation, "_keep_memory", lambda: None)

    def make(name: str, more: str = "", own: str = "") -> RunFolder:
        folder = RunFolder.create(tmp_path / name, config(more, own))
        (folder.path / "scenes").symlink_to(scenes)
        return folder

    # a process has one precision for life, but this one has other tests to do
    AcceleratorState._reset_state(reset_partial_state=True)
    yield make
    AcceleratorState._reset_state(reset_partial_state=True)


def kept(folder: RunFolder, step: int) -> dict[str, Any]:
    """Weights, averages and optimiser of a checkpoint."""
    parts = Checkpoints(folder.checkpoints).load(step)
    state = torch.load(io.BytesIO(parts["optimiser.pt"]), weights_only=True)
    moments = state["optimiser"]["state"]
    return {
        **load(parts["weights.safetensors"]),
        **{f"average of {k}": v for k, v in state["recipe"]["average"].items()},
        **{f"{k} of {i}": v for i, m in moments.items() for k, v in m.items()},
    }


def test_resumed_run_equals_an_uninterrupted_one(
    begin: Callable[..., RunFolder],
) -> None:
    states = []
    for name, stops in (("whole", [0]), ("broken", [2, 0])):
        folder = begin(name)
        for stop in stops:
            own = folder.config.recipe_options
            folder.config = replace(
                folder.config, recipe_options=replace(own, stop_at=stop)
            )
            ending = work(folder)
            assert ending.reason == ("cancelled" if stop else "finished")
        states.append(kept(folder, 4))
        assert list(losses(folder)) == [1, 2, 3, 4]
    assert "log_tau" in states[0]
    assert "average of mask_decoder" in str(states[0])
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name


def test_everything_but_nothing_else_is_learnt(begin: Callable[..., RunFolder]) -> None:
    """In half precision, too, every weight has a gradient: also of the last clicks."""
    made = recipe(begin("one").path)
    module = made.prepare(torch.device("cpu"))
    batch = made.collate([made.example(0, np.random.default_rng(0))])
    with torch.autocast("cpu", torch.bfloat16):
        losses = made.loss(batch, torch.Generator().manual_seed(1))
    losses["loss"].backward()
    bare = [n for n, p in module.named_parameters() if p.grad is None]
    assert bare == []
    assert not any(p.requires_grad for p in made.average.parameters())


def test_minutes_end_a_run_and_its_result_is_the_average(
    begin: Callable[..., RunFolder],
) -> None:
    folder = begin("short", own="minutes = 1e-6\nema = 0.5")
    ending = work(folder)
    assert (ending.reason, list(losses(folder))) == ("finished", [1])
    assert ending.sentence == "It had enough after 1 steps."
    average, facts = average_net(folder.path)
    assert facts["steps run"] == 1 and facts["minutes"] == 1e-6
    written = Nano.from_file(folder.adapter / "sesami-nano.safetensors").net
    for name, tensor in average.state_dict().items():
        assert torch.equal(tensor.half().float(), written.state_dict()[name]), name
    card = json.loads((folder.adapter / "sesami-nano.json").read_text())
    assert card["run"] == facts
    curves = read_curves(folder.events)
    assert curves["loss"][0].tolist() == [1]


def test_the_rate_falls_with_steps_and_minutes(tmp_path: Path) -> None:
    steps = recipe(tmp_path, own="warmup = 2")
    assert [round(steps.rate(i), 3) for i in (0, 2, 4)] == [0.5, 0.51, 0.02]
    minutes = recipe(tmp_path, own="minutes = 10")
    minutes.seconds = 600
    assert minutes.rate(0) == pytest.approx(0.02)
    assert minutes.enough(1)


def test_a_run_begins_with_given_weights(begin: Callable[..., RunFolder]) -> None:
    first = begin("first", own="minutes = 1e-6")
    work(first)
    weights = first.adapter / "sesami-nano.safetensors"
    own = Nano.from_file(weights)
    for wish, truth in (("bundled", Nano.bundled()), (weights, own)):
        begun = recipe(begin(f"from-{truth.key}").path, own=f'weights = "{wish}"')
        module = begun.prepare(torch.device("cpu"))
        for name, tensor in truth.net.state_dict().items():
            assert torch.equal(tensor, module.net.state_dict()[name])
            assert torch.equal(tensor, begun.average.state_dict()[name])


def test_weights_of_the_trainer_before_are_exported(tmp_path: Path) -> None:
    net, average = NanoNet(32), NanoNet(32)
    state = {
        "step": 7, "spent": 1.5, "settings": {"steps": 9, "dim": 32, "seed": 1},
        "net": net.state_dict(), "average": average.state_dict(),
        "optimiser": {}, "log_tau": torch.tensor(-2.5),
    }  # fmt: skip
    torch.save(state, tmp_path / "state.pt")
    line = {"loss": 2.0, "click3": 0.5, "box": float("nan"), "step": 1}
    (tmp_path / "events.jsonl").write_text(f"{json.dumps(line)}\n")
    export([str(tmp_path), str(tmp_path / "out")])
    found = Nano.from_file(tmp_path / "out" / "sesami-nano.safetensors").net
    for name, tensor in average.state_dict().items():
        assert torch.equal(tensor.half().float(), found.state_dict()[name])
    card = json.loads((tmp_path / "out" / "sesami-nano.json").read_text())
    assert card["run"]["steps run"] == 7
    assert list(read_curves(tmp_path / "events.jsonl")) == ["loss", "click3", "step"]
    with pytest.raises(TrainError, match="earlier version"):
        prepare_run([str(tmp_path)])


def test_options_are_kept_and_changed_by_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    own = ["--pairs", "3", "--lr", "4e-4", "--weights", "bundled", "--minutes", "9"]
    assert prepare_run([str(folder), *own, "--stop-at", "5"]) == folder
    first = RunFolder.open(folder).config
    assert (first.batch, first.rate, first.steps) == (3, 4e-4, 4000)
    assert (first.precision, first.recipe_options.stop_at) == ("bf16", 5)
    prepare_run([str(folder), "--minutes", "12", "--documented-share", "0.45"])
    then = RunFolder.open(folder).config
    more = {"minutes": 12.0, "documented_share": 0.45, "stop_at": 0}
    assert then == replace(first, recipe_options=replace(first.recipe_options, **more))


def test_processes_that_draw_end_with_the_one_that_started_them(
    tmp_path: Path,
) -> None:
    (drawer,) = draw_in_background(tmp_path, shards=1000, processes=1)
    assert drawer.poll() is None
    assert drawer.stdin is not None
    drawer.stdin.close()
    assert drawer.wait(60) == 0


@pytest.mark.slow
def test_the_command_line_trains_with_two_processes(
    tmp_path: Path, scenes: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "scenes").symlink_to(scenes)
    torchrun = "-m torch.distributed.run --standalone --nproc-per-node=2".split()
    options = "--steps 3 --pairs 1 --objects 1 --shards 1 --device cpu".split()
    module = ["-m", "napari_sesami.lab.pretrain", str(folder), *options]
    for stop in (["--stop-at", "2"], []):
        command = [sys.executable, *torchrun, *module, *stop]
        done = subprocess.run(command, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
    run = Run(folder)
    assert run.config.batch == run.config.processes == 2
    assert run.status.state == "finished"
    assert run.curve()[0] == [1, 2, 3]
    assert (folder / "adapter" / "sesami-nano.safetensors").is_file()


def test_the_command_line_stops_where_it_should_and_goes_on(
    tmp_path: Path, scenes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "scenes").symlink_to(scenes)
    train = ["train", "foundation", str(folder)]
    options = "--steps 2 --pairs 1 --objects 1 --shards 1 --device cpu --threads 1"
    assert main([*train, *options.split(), "--stop-at", "1"]) == 0
    assert "can be resumed from step 1" in capsys.readouterr().out
    assert main(train) == 0
    assert "All 2 steps are done." in capsys.readouterr().out
    assert main(train) == 1
    assert "is finished; start a new run" in capsys.readouterr().err
    before = (folder / "run.toml").read_text()
    assert main([*train, "--steps", "9"]) == 1
    assert "is finished; begin a new one" in capsys.readouterr().err
    assert (folder / "run.toml").read_text() == before


class Perfect:
    """A predictor that knows the answer."""

    def __init__(self, truth: np.ndarray) -> None:
        self.full = truth

    def predict(self, *_: object, **__: object) -> Perfect:
        return self


def test_click_through_scores_a_perfect_answer_with_one() -> None:
    truth = np.zeros((40, 40), bool)
    truth[10:13, 5:30] = True
    score = click_through(Perfect(truth), Scan.from_array(truth.astype(float)), truth)  # type: ignore[arg-type]
    assert score.clicks == dict.fromkeys(range(1, 6), 1.0)
    assert score.box == 1
    assert score.thin


def test_objects_are_neither_specks_nor_background() -> None:
    regions = np.ones((40, 40), int)
    regions[5:15, 5:15], regions[20, 20] = 2, 3
    found = objects(regions, np.random.default_rng(0), 5)
    assert [int(m.sum()) for m in found] == [100]
    assert deepest(found[0])[0] in {(y, x) for y in range(9, 11) for x in range(9, 11)}


def test_table_keeps_thin_layers_apart() -> None:
    scores = [
        Score("layers", False, {1: 1.0, 3: 1.0}, 1.0),
        Score("layers", True, {1: 0.0, 3: 0.0}, 0.0),
        Score("wire_bond", False, {1: 0.5, 3: 1.0}, 1.0),
    ]
    rows = table(scores)
    assert rows["all random patterns"]["clicks 1"] == 1
    assert rows["all random patterns, thin (< 6 px)"]["clicks 1"] == 0
    assert rows["all documented families"]["clicks 1"] == 0.5
    assert rows["layers"]["clicks 1"] == 0.5
