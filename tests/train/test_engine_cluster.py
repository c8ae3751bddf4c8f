"""torchrun and SLURM: the commands, and a job that submitit runs here."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from tests.fakes.engine_help import begin, config, events, result, until

from napari_sesami.train import Run, TrainError
from napari_sesami.train.run import cluster
from napari_sesami.train.run.launch import worker_command

if TYPE_CHECKING:
    from pathlib import Path

submitit = pytest.importorskip("submitit", reason="needs the extra cluster")


def test_the_command_names_the_worker_and_torchrun_when_needed(tmp_path: Path) -> None:
    worker = ["-m", "napari_sesami.train.worker", str(tmp_path)]
    assert worker_command(tmp_path) == [sys.executable, "-P", *worker]
    several = worker_command(tmp_path, 2, detach=True)
    assert several[1:5] == ["-P", "-m", "torch.distributed.run", "--standalone"]
    assert "--nproc-per-node=2" in several
    assert several[-4:] == [*worker, "--detach"]


def test_the_script_for_sbatch_has_what_the_job_needs(tmp_path: Path) -> None:
    text = cluster.batch_script(tmp_path / "my run", gpus=2, hours=1.5)
    assert "#SBATCH --time=01:30:00" in text
    assert "#SBATCH --gpus-per-node=2" in text
    assert "--nproc-per-node=2" in text
    assert f"'{tmp_path / 'my run'}' --detach" in text


def test_the_job_for_slurm_asks_for_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run: `sbatch` only keeps what it is given."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("srun", "sbatch"):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/asked\necho batch job 123\n')
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    folder = begin(tmp_path / "r", "processes = 2")
    wishes = {"slurm_partition": "gpu", "slurm_signal_delay_s": 120}
    job = cluster.submit(folder.path, gpus=2, hours=1.5, cluster="slurm", more=wishes)
    assert job.job_id == "123"
    asked = (tmp_path / "asked").read_text()
    for line in ("time=90", "gpus-per-node=2", "partition=gpu", "job-name=sesami-r"):
        assert f"#SBATCH --{line}\n" in asked
    assert "#SBATCH --signal=USR2@120" in asked
    again = cluster.Job(folder.path, 2).checkpoint().function
    assert (again.folder, again.processes) == (folder.path, 2)


@pytest.mark.slow
def test_submitit_runs_a_job_that_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r", "", "nap = 0.2")
    job = cluster.submit(folder.path, gpus=0, hours=0.1, cpus=1, cluster="local")
    until(lambda: events(folder, "step"))
    with pytest.raises(TrainError, match="is at work already; stop it first"):
        cluster.submit(folder.path, gpus=0, cluster="local")
    run = Run(folder.path)
    assert not run.status.over
    run.stop()
    assert "Stopped as asked" in job.result()
    assert run.wait(30).state == "cancelled"
    here = cluster.submit(folder.path, gpus=0, hours=0.1, cpus=1, cluster="local")
    assert here.result() == "All 12 steps are done."
    assert result(folder)
    assert len(events(folder, "started")) == 2


def test_without_submitit_a_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(TrainError, match=r"pip install 'napari-sesami\[cluster\]'"):
        cluster.submit(tmp_path)
    assert config().steps
