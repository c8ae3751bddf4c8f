"""Runs on other machines: SLURM through submitit, or a script for sbatch.

A run folder on a disk that all machines see is all that they need. A job that the
cluster takes back or that reaches its time limit writes a checkpoint, and is queued
again to go on from it.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.train.config import FILE
from napari_sesami.train.errors import TrainError
from napari_sesami.train.foreign import check_agreed, code_folder
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.run.launch import environment, worker_command

if TYPE_CHECKING:
    from collections.abc import Callable


class ClusterJob:
    """What a node of the cluster runs; submitit carries it there.

    Parameters
    ----------
    folder
        A run folder that the node sees.
    processes
        How many processes train on the node.
    """

    def __init__(self, folder: Path, processes: int = 1) -> None:
        self.folder, self.processes = folder, processes
        self._worker: subprocess.Popen[bytes] | None = None

    def __call__(self) -> str:
        """Work on the run to its end; return the sentence that it ended with."""
        own = code_folder(RunFolder.open(self.folder).config.recipe)
        command = worker_command(self.folder, self.processes, detach=True, code=own)
        self._worker = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=environment()
        )
        code = self._worker.wait()
        status = RunFolder.open(self.folder).status()
        sentence = str(status.get("sentence", ""))
        if code or status.get("state") == "failed":
            raise RuntimeError(f"{sentence} (exit code {code})")
        return sentence

    def checkpoint(self) -> Any:
        """Keep what is done when the cluster takes the node back; queue again."""
        from submitit.helpers import DelayedSubmission

        if self._worker is not None:
            self._worker.terminate()  # it writes a checkpoint first
            self._worker.wait()
        return DelayedSubmission(ClusterJob(self.folder, self.processes))

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "processes": self.processes, "_worker": None}


def submit(
    folder: Path, *, gpus: int = 1, hours: float = 4, cpus: int = 4,
    cluster: str | None = None, more: dict[str, Any] | None = None,
) -> Any:  # fmt: skip
    """Queue a run on the cluster; return submitit's job.

    Parameters
    ----------
    folder
        A run folder on a disk that the nodes see.
    gpus, cpus, hours
        What the job asks for; each GPU gets a process.
    cluster
        None takes SLURM if there is one; `"local"` and `"debug"` try it here.
    more
        More options of submitit, such as ``{"slurm_partition": "gpu"}``.
    """
    try:
        import submitit
    except ImportError as error:
        raise TrainError(
            "Clusters need submitit; install it with: "
            f"{Path(sys.executable).name} -m pip install 'napari-sesami[cluster]'."
        ) from error
    home = RunFolder.open(folder)
    check_agreed(home.config)
    if home.owner() is not None:
        raise TrainError(f"{home.path} is at work already; stop it first.")
    executor = submitit.AutoExecutor(home.path / "cluster", cluster=cluster)
    options: dict[str, Any] = {
        "name": f"sesami-{home.path.name}",
        "timeout_min": max(1, round(60 * hours)),
        "cpus_per_task": cpus,
        "gpus_per_node": gpus,
    }
    executor.update_parameters(**options, **(more or {}))
    job: Callable[[], str] = ClusterJob(home.path, max(1, gpus, home.config.processes))
    return executor.submit(job)


def batch_script(
    folder: Path, *, gpus: int = 1, hours: float = 4, cpus: int = 4
) -> str:
    """Write the text for `sbatch`, for clusters that are used without submitit."""
    code = None
    if (folder / FILE).is_file():
        code = code_folder(RunFolder.open(folder).config.recipe)
    command = shlex.join(worker_command(folder, gpus, detach=True, code=code))
    minutes = max(1, round(60 * hours))
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name=sesami-{folder.name}",
        f"#SBATCH --time={minutes // 60:02d}:{minutes % 60:02d}:00",
        f"#SBATCH --gpus-per-node={gpus}",
        f"#SBATCH --cpus-per-task={cpus}",
        "#SBATCH --signal=TERM@120",
        "#SBATCH --requeue",
        f"#SBATCH --output={folder / 'cluster-%j.log'}",
        "export PYTHONSAFEPATH=1  # no modules from the current folder",
        f"srun {command}",
    ]
    return "\n".join(lines) + "\n"
