"""Two processes of torchrun: a whole run, then one that the first of them stops."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from accelerate import PartialState

from napari_sesami.train.engine.engine import Engine
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.run.orders import Control
from napari_sesami.train.run.report import Report
from tests.fakes.engine_help import begin, work


def main(root: Path) -> None:
    first = os.environ["RANK"] == "0"
    state = PartialState(cpu=True)
    for name, at in (("whole", 0), ("broken", 7), ("broken", 0)):
        if first and not (root / name).exists():
            begin(root / name, tiny="examples = 7")
        state.wait_for_everyone()
        folder = RunFolder.open(root / name)
        if first:
            orders = {f"at{at}": "stop"} if at else {}
            ending = work(folder, **orders)
        else:
            ending = Engine(folder, Report(folder, first=False), Control()).run()
        assert ending.reason == ("cancelled" if at else "finished")
    state.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
