"""What the data engine proposes, scan by scan, judged by an annotator who knows all.

python tests/benchmarks/bench_data_engine.py [--train STEPS] [KIND/VIEW ...]

The scans of a device are windows of one large procedural section. The first one is
labelled by hand (from the truth). For each further one the model proposes; a proposal
that overlaps a true object by 0.9 (IoU) is accepted, by 0.5 corrected, else rejected;
what is missing is added. Half way the prompt model is trained on what was accepted.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from skimage.measure import label

from napari_sesami.lab.scenes import tem
from napari_sesami.worklist import Review, WorklistEngine
from napari_sesami.worklist.proposals import as_labels

if TYPE_CHECKING:
    from napari_sesami.session import Session

SCANS, SIDE, SMALLEST = 6, 512, 100
DEVICES = {"gaa/across": 9, "finfet/across": 5, "beol/cut": 3, "dram/plan": 7}


def write(folder: Path, kind: str, view: str, seed: int) -> tuple[list, tuple]:
    """Write the scans; gives their truths and classes."""
    wide = tem(kind, seed, view=view, shape=(SIDE, SCANS * SIDE))
    size = wide.pixel_size[0]
    folder.mkdir()
    truths = []
    for i in range(SCANS):
        part = np.s_[:, i * SIDE : (i + 1) * SIDE]
        tifffile.imwrite(
            folder / f"{i + 1}.tif",
            np.ascontiguousarray(wide.image[part]),
            imagej=True,
            resolution=(1 / size, 1 / size),
            metadata={"unit": wide.unit},
        )
        truths.append(np.ascontiguousarray(wide.labels[part]))
    return truths, wide.classes


def objects_of(truth: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Class and mask of every true object that is no crumb."""
    parts = label(truth, background=0, connectivity=1)
    sizes = np.bincount(parts.ravel())
    return [
        (int(truth[parts == i][0]), parts == i)
        for i in range(1, len(sizes))
        if sizes[i] >= SMALLEST
    ]


def judge(session: Session, review: Review, truth: np.ndarray) -> None:
    """Accept, correct, reject, and add what is missing."""
    left = dict(enumerate(objects_of(truth)))
    for i, p in enumerate(review.proposed):
        full = np.zeros(truth.shape, bool)
        y0, x0, y1, x1 = p.bbox
        full[y0:y1, x0:x1] = p.mask
        best = max(left, key=lambda k: iou(full, left[k][1]), default=None)
        near = 0.0 if best is None else iou(full, left[best][1])
        if near < 0.5:
            review.reject(i)
            continue
        class_id, mask = left.pop(best)
        if near >= 0.9 and class_id == p.class_id:
            review.accept(i)
        else:
            review.correct(i, mask, class_id)
    for class_id, mask in left.values():
        session.commit(mask, class_id)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks."""
    return np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1)


def run(device: str, place: Path, steps: int) -> None:
    """Work through the scans of a device, and print a line for each."""
    kind, view = device.split("/")
    truths, classes = write(place / "scans", kind, view, DEVICES[device])
    with WorklistEngine(place / "p.sesami", place / "scans") as engine:
        session = engine.open()
        for spec in classes:
            session.classes.add(spec.name, color=spec.color)
        for class_id, mask in objects_of(truths[0]):
            session.commit(mask, class_id)
        engine.finish()
        for number in range(1, SCANS):
            if steps and number == SCANS // 2:
                training = engine.train(steps=steps)
                state = training.wait()
                verdict = engine.session.runs.judge(training)
                print(f"{device}: {state.state}; {verdict.sentence}", flush=True)
                engine.session.runs.adopt(training, insist=True)
            session = engine.open()
            review = engine.propose()
            said = as_labels(review.proposed, truths[number].shape)
            right = np.mean(said == truths[number])
            judge(session, review, truths[number])
            r = engine.finish()
            print(
                f"{device:14} scan {number + 1}, taught by {r['taught_by']}: "
                f"{r['proposals']:3} proposed, {r['accepted']:3} unchanged, "
                f"{r['corrected']:3} corrected, {r['rejected']:3} rejected, "
                f"{r['added']:3} added, {100 * right:.1f} % of pixels right, "
                f"{r['propose_seconds']:.1f} s, sharpened {r['sharpened']}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device", nargs="*", default=list(DEVICES))
    parser.add_argument("--train", type=int, default=0, metavar="STEPS")
    asked = parser.parse_args()
    for name in asked.device:
        with tempfile.TemporaryDirectory() as made:
            run(name, Path(made), asked.train)
