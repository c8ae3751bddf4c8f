"""The process of one run: ``python -m napari_sesami.train.worker RUN``.

JSON lines go to stdout and into the run folder; commands come by stdin, one a line:
pause, resume, stop, checkpoint, evaluate. When stdin ends, whoever started the run is
gone: a checkpoint is written and the process ends, unless it was told to ``--detach``.
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
from typing import TYPE_CHECKING, Any

from napari_sesami.common import process
from napari_sesami.train.engine.fallback import ATTEMPT, Ladder, attempt
from napari_sesami.train.run.folder import RunFolder
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
    args = _parser().parse_args(argv)
    rank = int(os.environ.get("RANK", "0"))
    try:
        folder = RunFolder.open(args.folder)
        if args.dry:
            return _try(folder, args)
        if not rank:
            folder.acquire()
    except (ValueError, OSError) as error:
        print(json.dumps({"event": "refused", "sentence": str(error)}), flush=True)
        print(error, file=sys.stderr)
        return 1
    try:
        return _work(folder, rank, detached=args.detach)
    finally:
        if not rank:
            folder.release()


def _parser() -> argparse.ArgumentParser:
    ap = argparse.ArgumentParser(prog="napari_sesami.train.worker", description=__doc__)
    ap.add_argument("folder", type=Path, help="a run folder")
    ap.add_argument("--detach", action="store_true", help="read no commands from stdin")
    ap.add_argument("--dry", action="store_true", help="try a few steps, keep nothing")
    ap.add_argument("--micro", type=int, help=argparse.SUPPRESS)
    return ap


def _work(folder: RunFolder, rank: int, *, detached: bool) -> int:
    """Train, and say how it ended."""
    report = Report(folder, first=not rank)
    if attempt() > 0 and Ladder.read(folder.ladder).again != attempt():
        # torchrun starts anew after any failure, but this one was final
        if report["ended"] is None:
            _end(report, Ending("error", _trouble(folder) or _DIED))
        report.close()
        return 0
    if not rank and attempt() == 0:
        _fresh(folder, report)
    control = Control()
    control.on_signals()
    if not rank:
        if not detached and not sys.stdin.isatty():
            control.listen()
        control.watch(folder, report.beat)
    _be_modest(folder, keep=not rank)
    ending = _train(folder, report, control)
    control.close()
    if ending is not None:
        if rank and ending.reason == "error":
            _leave(folder, ending.sentence)
        _end(report, ending)
    report.close()
    if ending is None:
        return _again(folder, [])
    return 0 if ending.reason in ENDINGS else 1


def _fresh(folder: RunFolder, report: Report) -> None:
    """Forget how the run ended last time."""
    report.status(state="starting", sentence="", ended=None, facts=None)
    folder.trouble.unlink(missing_ok=True)
    ladder = Ladder.read(folder.ladder)
    if ladder.again:
        replace(ladder, again=0).write(folder.ladder)


def _end(report: Report, ending: Ending) -> None:
    state = ENDINGS.get(ending.reason, "failed")
    report.status(state=state, sentence=ending.sentence, ended=ending.reason)
    facts = report["facts"] or {}
    report.say("ended", reason=ending.reason, sentence=ending.sentence, facts=facts)


def _leave(folder: RunFolder, sentence: str) -> None:
    """Tell the first process why this one fails; it only sees a lost connection."""
    with suppress(OSError):
        folder.trouble.write_text(sentence, "utf-8")


def _trouble(folder: RunFolder) -> str:
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
        if Ladder.read(folder.ladder).again == attempt() + 1:
            return None  # another process of this run asked to start again
        if _for_people(error):
            return Ending("error", str(error))
        what = f"{type(error).__name__}: {error}"
        return Ending(
            "error",
            _trouble(folder)
            or f"The run ended by an unforeseen error ({what}); its log has the "
            "details, and it can be resumed.",
        )


def _for_people(error: Exception) -> bool:
    """Whether its text is a sentence of ours: TrainError, ScanError, ModelError, …."""
    ours = type(error).__module__.startswith("napari_sesami.")
    return ours and isinstance(error, ValueError)


def _again(folder: RunFolder, options: list[str]) -> int:
    """Go on in a fresh process: only its end gives all memory back."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return AGAIN
    os.environ[ATTEMPT] = str(attempt() + 1)
    given = [a for a in sys.argv[1:] if a in ("--detach", "--dry")]
    command = [sys.executable, "-m", "napari_sesami.train.worker", str(folder.path)]
    command += [*given, *options]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execv(sys.executable, command)
    return subprocess.call(command)


def _be_modest(folder: RunFolder, *, keep: bool) -> None:
    """Leave a core and the right of way to windows."""
    import torch

    process.step_back()
    if folder.config.device != "cpu" and torch.cuda.is_available():
        return
    ladder = Ladder.read(folder.ladder)
    given = int(os.environ.get("OMP_NUM_THREADS", "0") or 0)
    threads = ladder.threads or given or max(1, process.cores() - 1)
    torch.set_num_threads(threads)
    if keep and ladder.threads is None:
        with suppress(OSError):  # a full disk; the last digit is not worth the run
            replace(ladder, threads=threads).write(folder.ladder)


def _try(folder: RunFolder, args: argparse.Namespace) -> int:
    """Take a few steps at the real shapes, print what they cost, keep nothing."""
    report = Report(folder, first=True, keep=False)
    _be_modest(folder, keep=False)
    from napari_sesami.train.run.dry import trial

    facts: dict[str, Any] | None = trial(folder, report, args.micro)
    if facts is not None and "smaller" in facts:
        report.close()
        return _again(folder, ["--micro", str(facts["smaller"])])
    if facts is not None:
        report.say("dry", **facts)
    report.close()
    return 0 if facts is not None else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is written; taking torch down in order lasts seconds
