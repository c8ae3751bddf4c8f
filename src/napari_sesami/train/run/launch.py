"""How a worker is started, on this machine or by torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sesami.common import process

if TYPE_CHECKING:
    from napari_sesami.train.run.folder import RunFolder

WORKER = "napari_sesami.train.worker"
_RESTARTS = 8  # more halvings than any batch survives


def python() -> str:
    """Path of an interpreter that has a standard output, which pythonw has not."""
    path = Path(sys.executable)
    if path.name.lower() == "pythonw.exe":
        return str(path.with_name("python.exe"))
    return str(path)


def worker_command(
    folder: Path, processes: int = 1, *, detach: bool = False
) -> list[str]:
    """Tell the command that works on a run, with torchrun if it takes several."""
    command = [python(), "-m", WORKER, str(folder)]
    if processes > 1:
        torchrun = ["torch.distributed.run", "--standalone"]
        torchrun += [f"--nproc-per-node={processes}", f"--max-restarts={_RESTARTS}"]
        command[2:2] = [*torchrun, "-m"]
    return [*command, "--detach"] if detach else command


def environment() -> dict[str, str]:
    """Tell a worker's environment: one core is left to windows."""
    threads = str(max(1, process.cores() - 1))
    return {"OMP_NUM_THREADS": threads, **os.environ, "PYTHONUNBUFFERED": "1"}


def launch(folder: RunFolder) -> subprocess.Popen[bytes]:
    """Start a worker that hears us by stdin and ends when we do."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    with folder.log.open("ab") as log:
        return subprocess.Popen(
            worker_command(folder.path, folder.config.processes),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(),
            start_new_session=True,  # Ctrl+C in our terminal is not meant for it
            creationflags=flags,
        )
