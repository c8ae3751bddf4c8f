"""Hours of work in a row: clicks, strokes, undo, saves, scans switched, docks opened.

``python -m tests.trust.soak [ROUNDS]`` prints memory and handles as it goes.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from napari_sesami.scan import Scan
from napari_sesami.session import Session

SIDE = 192
SETTLED = 20
"""Rounds until everything is loaded and caches are full."""


@dataclass(frozen=True)
class Mark:
    """What the process holds after a round."""

    round: int
    memory: float
    handles: int
    threads: int


def mark(number: int) -> Mark:
    """Measure this process, in MB."""
    gc.collect()
    me = psutil.Process()
    handles = me.num_fds() if os.name == "posix" else me.num_handles()
    memory = me.memory_info().rss / 2**20
    return Mark(number, memory, handles, threading.active_count())


def scans() -> list[Scan]:
    """Three scans to switch between."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(3):
        pixels = rng.normal(100, 10, (SIDE, SIDE))
        pixels[40:90, 40:90] += 60 + 10 * i
        made.append(Scan.from_array(pixels.astype(np.float32), name=f"scan {i}"))
    return made


def one_round(session: Session, number: int) -> None:
    """Click, commit, paint, segment and take most of it back, as a person would."""
    y, x = 50 + number % 30, 50 + (7 * number) % 30
    mask = session.prompt(points=[(y, x)], labels=[1])
    if not mask.empty:
        session.commit(mask, "thing")
        session.undo()
    strokes = np.zeros((6, 30), int)
    strokes[:3], strokes[3:] = 1, 2
    session.paint(strokes, at=(60 + number % 20, 20))
    session.segment()
    session.undo()
    if number % 5 == 0:
        session.save()


def main(rounds: int = 300) -> list[Mark]:
    """Work for so many rounds; return what was held now and then."""
    marks: list[Mark] = []
    with tempfile.TemporaryDirectory() as place:
        os.environ["SESAMI_HOME"] = str(Path(place) / "home")
        all_scans = scans()
        model = None
        session: Session | None = None
        for number in range(rounds):
            if number % 10 == 0:  # another scan is opened
                if session is not None:
                    model = session.prompts.predictor.model
                    session.close()
                session = Session(
                    all_scans[(number // 10) % 3], Path(place) / "p.sesami", model=model
                )
                if not len(session.classes):
                    session.classes.add("thing")
                    session.classes.add("rest")
                session.document.project.start_autosave()
            one_round(session, number)
            if number % SETTLED == SETTLED - 1:
                marks.append(mark(number + 1))
        if session is not None:
            session.close()
    return marks


if __name__ == "__main__":
    for each in main(int(sys.argv[1]) if len(sys.argv) > 1 else 300):
        print(
            f"after {each.round:5} rounds: {each.memory:7.0f} MB, "
            f"{each.handles} handles, {each.threads} threads",
            flush=True,
        )
