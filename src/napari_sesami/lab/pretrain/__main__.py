"""One process of `torchrun -m napari_sesami.lab.pretrain RUN`, or the only one."""

from __future__ import annotations

import os
import subprocess
import sys

from napari_sesami.common.errors import SesamiError
from napari_sesami.lab.pretrain import prepare_run
from napari_sesami.train import worker_command

if __name__ == "__main__":
    try:
        folder = prepare_run()
    except (SesamiError, OSError) as error:
        sys.exit(f"sesami: {error}")
    if os.environ.get("RANK", "0") == "0":
        print(f"See how it stands with: sesami runs show {folder}", flush=True)
    command = worker_command(folder, detach=True)
    if os.name == "posix":
        os.execv(command[0], command)
    sys.exit(subprocess.call(command))
