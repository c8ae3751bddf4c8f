"""torchrun and SLURM: the commands, and a job that submitit runs here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from engine_help import begin, config, events, result, until

from napari_sesami.train import Run, TrainError, _cluster
from napari_sesami.train._launch import worker_command

if TYPE_CHECKING:
    from pathlib import Path

submitit = pytest.importorskip("submitit", reason="needs the extra cluster")


def test_the_command_names_the_worker_and_torchrun_when_needed(tmp_path: Path) -> None:
    worker = ["-m", "napari_sesami.train.worker", str(tmp_path)]
    assert worker_command(tmp_path) == [sys.executable, *worker]
    several = worker_command(tmp_path, 2, detach=True)
    assert several[1:4] == ["-m", "torch.distributed.run", "--standalone"]
    assert "--nproc-per-node=2" in several
    assert several[-4:] == [*worker, "--detach"]
    far = _cluster.torchrun_command(tmp_path, 4, nodes=2, master="node1:29400")
    assert {"--nnodes=2", "--nproc-per-node=4", "--rdzv-endpoint=node1:29400"} <= set(
        far
    )
    assert far[-4:] == [*worker, "--detach"]


def test_the_script_for_sbatch_has_what_the_job_needs(tmp_path: Path) -> None:
    text = _cluster.batch_script(tmp_path / "my run", gpus=2, hours=1.5)
    assert "#SBATCH --time=01:30:00" in text
    assert "#SBATCH --gpus-per-node=2" in text
    assert "--nproc-per-node=2" in text
    assert f"'{tmp_path / 'my run'}' --detach" in text


def test_the_job_for_slurm_asks_for_what_was_said(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r")
    executor = submitit.SlurmExecutor(tmp_path / "log")
    executor.update_parameters(time=90, gpus_per_node=2, signal_delay_s=120)
    text = executor._make_submission_file_text("python job", "uid")
    assert "#SBATCH --time=90" in text and "#SBATCH --gpus-per-node=2" in text
    job = _cluster.Job(folder.path, 2)
    again = job.checkpoint()
    assert isinstance(again.function, _cluster.Job)
    assert (again.function.folder, again.function.processes) == (folder.path, 2)


def test_submitit_runs_a_job_that_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r", "", "nap = 0.2")
    job = _cluster.submit(folder.path, gpus=0, hours=0.1, cpus=1, cluster="local")
    until(lambda: events(folder, "step"))
    with pytest.raises(TrainError, match="is at work already; stop it first"):
        _cluster.submit(folder.path, gpus=0, cluster="local")
    run = Run(folder.path)
    assert not run.status.over
    run.stop()
    assert "Stopped as asked" in job.result()
    assert run.wait(30).state == "cancelled"
    here = _cluster.submit(folder.path, gpus=0, hours=0.1, cpus=1, cluster="debug")
    assert here.result() == "All 12 steps are done."
    assert result(folder)
    assert len(events(folder, "started")) == 2


def test_without_submitit_a_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(TrainError, match=r"pip install 'napari-sesami\[cluster\]'"):
        _cluster.submit(tmp_path)
    assert config().steps
