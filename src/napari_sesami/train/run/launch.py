"""How a worker is started, on this machine or by torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sesami.common.process import cores
from napari_sesami.train.foreign import code_folder

if TYPE_CHECKING:
    from napari_sesami.train.run.folder import RunFolder

WORKER = "napari_sesami.train.worker"
REFUSED = 76
"""Exit code of a worker that cannot begin; the last line of its log says why."""
_RESTARTS = 8  # more halvings than any batch survives


def worker_command(
    folder: Path,
    processes: int = 1,
    *,
    detach: bool = False,
    code: Path | None = None,
) -> list[str]:
    """Tell the command that works on a run, with torchrun if it takes several.

    Modules are never taken from the current folder; `code` is the folder of a recipe of
    one's own, and comes last on Python's path.
    """
    python = Path(sys.executable)
    if python.name.lower() == "pythonw.exe":  # it has no standard output
        python = python.with_name("python.exe")
    command = [str(python), "-P", "-m", WORKER, str(folder)]
    if processes > 1:
        torchrun = ["torch.distributed.run", "--standalone"]
        torchrun += [f"--nproc-per-node={processes}", f"--max-restarts={_RESTARTS}"]
        command[3:3] = [*torchrun, "-m"]
    if code is not None:
        command += ["--code", str(code)]
    return [*command, "--detach"] if detach else command


def environment() -> dict[str, str]:
    """Tell a worker's environment: one core is left to windows, and a safe path.

    What torchrun starts gets no option of Python's, hence the variable.
    """
    threads = str(max(1, cores() - 1))
    told = {"OMP_NUM_THREADS": threads, **os.environ, "PYTHONUNBUFFERED": "1"}
    told["PYTHONSAFEPATH"] = "1"
    paths = told.get("PYTHONPATH", "").split(os.pathsep)
    # an empty or relative entry would mean the current folder
    told["PYTHONPATH"] = os.pathsep.join(p for p in paths if os.path.isabs(p))
    return told


def launch(folder: RunFolder, *, detach: bool = False) -> subprocess.Popen[bytes]:
    """Start a worker that ends when we do, unless it is to `detach`.

    All that it has to tell goes into the folder; only the end of its stdin, when our
    process is gone, is a message beside the files.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    processes = folder.config.processes
    with folder.log.open("ab") as log:
        return subprocess.Popen(
            worker_command(
                folder.path,
                processes,
                detach=detach,
                code=code_folder(folder.config.recipe),
            ),
            stdin=subprocess.DEVNULL if detach else subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment(),
            start_new_session=True,  # Ctrl+C in our terminal is not meant for it
            creationflags=flags,
        )
