"""The process of one run: ``python -m napari_sesami.train.worker RUN``.

What it has to tell goes into the files of the run folder: events.jsonl, and status.json
as heartbeat. Orders come by the file `commands`, one a line: pause, resume, stop,
checkpoint, evaluate. When stdin ends, whoever started the run is gone: a checkpoint is
written and the process ends, unless it was told to ``--detach``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sesami.common.errors import SesamiError
from napari_sesami.common.process import cores, step_back
from napari_sesami.train.engine.fallback import ATTEMPT, Fallback, attempt
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.run.launch import REFUSED, WORKER
from napari_sesami.train.run.orders import Control
from napari_sesami.train.run.report import Report
from napari_sesami.train.run.state import ENDINGS, Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

AGAIN = 75
"""Exit code of a process of torchrun that wants to be started again."""
_DIED = "A process of the run died; its log may say why, and it can be resumed."


def main(argv: Sequence[str] | None = None) -> int:
    """Work on the run in a folder; return 0 unless it failed."""
    ap = argparse.ArgumentParser(prog="napari_sesami.train.worker", description=__doc__)
    ap.add_argument("folder", type=Path, help="a run folder")
    ap.add_argument("--detach", action="store_true", help="outlive who started it")
    ap.add_argument("--dry", action="store_true", help="try a few steps, keep nothing")
    ap.add_argument("--micro", type=int, help=argparse.SUPPRESS)
    ap.add_argument("--code", type=Path, help="folder of a recipe of one's own")
    args = ap.parse_args(argv)
    if args.code is not None:  # last: nothing there may stand for a library
        sys.path.append(str(args.code))
    rank = int(os.environ.get("RANK", "0"))
    try:
        folder = RunFolder.open(args.folder, run=True)
        if args.dry:
            return _try(folder, args)
        if not rank:
            folder.acquire()
    except (SesamiError, OSError) as error:
        print(error, file=sys.stderr)
        return REFUSED
    try:
        return _work(folder, rank, detached=args.detach)
    finally:
        if not rank:
            folder.release()


def _work(folder: RunFolder, rank: int, *, detached: bool) -> int:
    """Train, and say how it ended."""
    report = Report(folder, first=not rank)
    if attempt() > 0 and Fallback.read(folder.fallback).again != attempt():
        # torchrun starts anew after any failure, but this one was final
        if report["ended"] is None:
            _end(report, Ending("error", _trouble(folder) or _DIED))
        report.close()
        return 0
    if not rank and attempt() == 0:
        # forget how the run ended last time, and what was ordered then
        if report["state"] != "starting":  # else who starts it has done so
            folder.forget_orders()
        report.status(state="starting", sentence="", ended=None, facts=None)
        folder.trouble.unlink(missing_ok=True)
        fallback = Fallback.read(folder.fallback)
        if fallback.again:
            replace(fallback, again=0).write(folder.fallback)
    control = Control()
    control.on_signals()
    if not rank:
        if not detached and not sys.stdin.isatty():
            control.end_with_parent()
        control.watch(folder, report.beat)
    _be_modest(folder, keep=not rank)
    ending = _train(folder, report, control)
    control.close()
    if ending is not None:
        if rank and ending.reason == "error":
            # the first process only sees a lost connection
            with suppress(OSError):
                folder.trouble.write_text(ending.sentence, "utf-8")
        _end(report, ending)
    report.close()
    if ending is None:
        return _again(folder, [])
    return 0 if ending.reason in ENDINGS else 1


def _end(report: Report, ending: Ending) -> None:
    state = ENDINGS.get(ending.reason, "failed")
    report.status(state=state, sentence=ending.sentence, ended=ending.reason)
    facts = report["facts"] or {}
    report.say("ended", reason=ending.reason, sentence=ending.sentence, facts=facts)


def _trouble(folder: RunFolder) -> str:
    """Read why another process failed."""
    with suppress(OSError):
        return folder.trouble.read_text("utf-8")
    return ""


def _train(folder: RunFolder, report: Report, control: Control) -> Ending | None:
    """Run the engine; None if a fresh process must go on."""
    # here, since it takes seconds: the heart beats and orders are heard already
    from napari_sesami.train.engine.engine import Again, Engine

    try:
        return Engine(folder, report, control).run()
    except Again:
        return None
    except Exception as error:  # the last line of defence: the run ends, with a word
        traceback.print_exc()
        if Fallback.read(folder.fallback).again == attempt() + 1:
            return None  # another process of this run asked to start again
        if isinstance(error, SesamiError):
            return Ending("error", str(error))
        what = f"{type(error).__name__}: {error}"
        return Ending(
            "error",
            _trouble(folder)
            or f"The run ended by an unforeseen error ({what}); its log has the "
            "details, and it can be resumed.",
        )


def _again(folder: RunFolder, options: list[str]) -> int:
    """Go on in a fresh process: only its end gives all memory back."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return AGAIN
    os.environ[ATTEMPT] = str(attempt() + 1)
    given = [a for a in sys.argv[1:] if a in ("--detach", "--dry")]
    if "--code" in sys.argv:
        given += ["--code", sys.argv[sys.argv.index("--code") + 1]]
    command = [sys.executable, "-P", "-m", WORKER, str(folder.path)]
    command += [*given, *options]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execv(sys.executable, command)
    return subprocess.call(command)


def _be_modest(folder: RunFolder, *, keep: bool) -> None:
    """Leave a core and the right of way to windows."""
    import torch

    step_back()
    if folder.config.device != "cpu" and torch.cuda.is_available():
        return
    fallback = Fallback.read(folder.fallback)
    given = int(os.environ.get("OMP_NUM_THREADS", "0") or 0)
    threads = fallback.threads or given or max(1, cores() - 1)
    torch.set_num_threads(threads)
    if keep and fallback.threads is None:
        with suppress(OSError):  # a full disk; the last digit is not worth the run
            replace(fallback, threads=threads).write(folder.fallback)


def _try(folder: RunFolder, args: argparse.Namespace) -> int:
    """Take a few steps at the real shapes, print what they cost, keep nothing."""
    _be_modest(folder, keep=False)
    from napari_sesami.train.run.dry import trial

    answer = trial(folder, args.micro)
    if "smaller" in answer:
        return _again(folder, ["--micro", str(answer["smaller"])])
    print(json.dumps(answer), flush=True)
    return 1 if "refused" in answer else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is written; taking torch down in order lasts seconds
