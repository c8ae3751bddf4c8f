"""The gate of segmenters: used only if better on held-out pictures than what is there.

What is there is the segmenter in use, or, where there is none, the labels that
retrieval makes of the same pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.errors import SesamiError
from napari_sesami.models import Segmenter
from napari_sesami.train.semi.losses import IGNORE
from napari_sesami.train.sesami.gate import GAIN, LOSS, WORST, Verdict
from napari_sesami.train.sesami.pictures import LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.train.sesami.pictures import LabelledSet, Picture

PER_CLASS = 240
"""Patches of a picture that teach a class by retrieval."""
RARE = 0.05
"""Share of the pixels below which a class is rare."""
COLOURS = np.array(
    [(0, 0, 0), (230, 120, 30), (40, 150, 220), (60, 170, 80), (220, 60, 90),
     (240, 220, 70), (150, 90, 190), (90, 200, 200), (240, 150, 190), (150, 110, 60)],
    np.uint8,
)  # fmt: skip


def answers_of(
    segmenter: Segmenter, pictures: Sequence[Picture]
) -> list[NDArray[np.uint8]]:
    """Class ids of pictures as a segmenter gives them."""
    return [segmenter.labels((p.grey / LEVELS).astype(np.float32)) for p in pictures]


def measure_segmenter(
    segmenter: Segmenter, pictures: Sequence[Picture]
) -> dict[str, Any]:
    """IoU by class (of all pixels together), their mean, and the rare ones' mean."""
    answers = answers_of(segmenter, pictures)
    ids = set(segmenter.card.classes)
    told = dict(segmenter.card.classes)
    return overlaps(pictures, answers, told, nothing=0 in ids)


def overlaps(
    pictures: Sequence[Picture],
    answers: Sequence[NDArray[np.uint8]],
    names: dict[int, str],
    *,
    nothing: bool,
) -> dict[str, Any]:
    """Compare answers with the truth.

    Parameters
    ----------
    pictures, answers
        Labelled pictures, and class ids for each.
    names
        Of the classes.
    nothing
        Whether pixels without a label are a class; else they are not looked at.

    Returns
    -------
    dict
        `mIoU`, `rare IoU` (classes below 5 % of the pixels), `classes` (name → IoU),
        and `pictures` (mIoU of each).
    """
    table = np.zeros((256, 256), np.int64)
    single = []
    for picture, answer in zip(pictures, answers, strict=True):
        own = _confusion(picture.classes, answer, nothing)
        table += own
        values = _ious(own)
        single.append(float(np.mean(list(values.values()))) if values else 1.0)
    found = _ious(table)
    total = table.sum()
    rare = [found[c] for c in found if table[c].sum() < RARE * total]
    return {
        "mIoU": round(float(np.mean(list(found.values()))), 4) if found else 0.0,
        "rare IoU": round(float(np.mean(rare)), 4) if rare else None,
        "classes": {
            ("nothing" if c == 0 else names.get(c, f"class {c}")): {"IoU": round(v, 4)}
            for c, v in found.items()
        },
        "pictures": single,
    }


def _confusion(
    truth: NDArray[np.uint8], answer: NDArray[np.uint8], nothing: bool
) -> NDArray[np.int64]:
    known = truth != IGNORE
    if not nothing:
        known &= truth != 0
    flat = truth[known].astype(np.int64) * 256 + answer[known]
    return np.bincount(flat, minlength=65536).reshape(256, 256)


def _ious(table: NDArray[np.int64]) -> dict[int, float]:
    """IoU of each class that the truth has."""
    true, said, both = table.sum(1), table.sum(0), np.diag(table)
    return {
        int(c): float(both[c] / (true[c] + said[c] - both[c]))
        for c in np.flatnonzero(true)
    }


def labels_by_retrieval(
    teachers: Sequence[Picture], pictures: Sequence[Picture], *, nothing: bool
) -> list[NDArray[np.uint8]]:
    """Label pictures by patch tokens of the labelled ones, as proposals are made."""
    from napari_sesami.models import load_token_encoder
    from napari_sesami.retrieve import Retriever, TokenStore

    encoder = load_token_encoder()
    top = max(int(np.where(p.classes == IGNORE, 0, p.classes).max()) for p in teachers)
    rng = np.random.default_rng(0)
    rows = []
    for picture in teachers:
        store = TokenStore(picture.as_scan(), encoder)
        own = np.where(picture.classes == IGNORE, 0, picture.classes)
        if nothing:
            own = np.where(picture.classes == 0, top + 1, own)
        side = store.patch
        h, w = (n // side for n in own.shape)
        blocks = own[: h * side, : w * side].reshape(h, side, w, side)
        chosen = np.zeros((h, w), bool)
        for class_ in np.unique(own[own > 0]):
            share = (blocks == class_).mean((1, 3)).ravel()
            good = np.flatnonzero(share >= 0.6)
            good = good if len(good) else np.flatnonzero(share > 0)
            chosen.ravel()[rng.permutation(good)[:PER_CLASS]] = True
        mask = np.zeros(own.shape, bool)
        mask[: h * side, : w * side] = np.repeat(np.repeat(chosen, side, 0), side, 1)
        strokes = np.where(mask, own, 0).astype(np.uint8)
        found = Retriever(store, top + 1)
        found.set_strokes(0, strokes, strokes.astype(np.int64))
        rows.append(found.bank.rows())
    out = []
    for picture in pictures:
        retriever = Retriever(TokenStore(picture.as_scan(), encoder), top + 1)
        for known in rows:
            retriever.teach(known, top + 1)
        retriever.tune()
        labels = retriever.segment(0).labels
        out.append(np.where(labels > top, 0, labels).astype(np.uint8))
    return out


def judge_segmenter(
    segmenter: Segmenter,
    labelled: LabelledSet,
    folder: Path,
    *,
    rival: Path | None = None,
    nothing: bool,
) -> Verdict:
    """Compare a segmenter with what is there, and write the verdict into `folder`.

    Parameters
    ----------
    segmenter
        The new one.
    labelled
        Its training set, with what was held out.
    folder
        Of the run.
    rival
        Folder of the segmenter in use; None, or one that cannot be read: retrieval.
    nothing
        Whether pixels without a label are a class.
    """
    held = labelled.held_out
    if not held:
        verdict = Verdict(
            False,
            "Nothing could be held out to measure with; label another picture.",
        )
        verdict.write(folder)
        return verdict
    old, what = None, "labels by retrieval"
    if rival is not None:
        try:
            before_net = Segmenter.load(rival)
            old, what = answers_of(before_net, held), "the segmenter in use"
        except SesamiError:
            old = None
    if old is None:
        old = labels_by_retrieval(labelled.training, held, nothing=nothing)
    new = answers_of(segmenter, held)
    was = overlaps(held, old, labelled.classes, nothing=nothing)
    now = overlaps(held, new, labelled.classes, nothing=nothing)
    counts = {
        name: sum(bool((p.classes == id_).any()) for p in held)
        for id_, name in {**labelled.classes, 0: "nothing"}.items()
    }
    rows = [
        {
            "class": name,
            "objects": counts.get(name, len(held)),
            "before": {"mIoU": was["classes"].get(name, {"IoU": 0.0})["IoU"]},
            "after": {"mIoU": found["IoU"]},
        }
        for name, found in now["classes"].items()
    ]
    gain = now["mIoU"] - was["mIoU"]
    losers = [
        row["class"] for row in rows
        if row["after"]["mIoU"] < row["before"]["mIoU"] - LOSS
    ]  # fmt: skip
    told = (
        f"mIoU on {len(held)} held-out pictures {was['mIoU']:.3f} ({what}) → "
        f"{now['mIoU']:.3f}"
    )
    if gain < GAIN:
        sentence = f"{told}: not better."
    elif losers:
        sentence = f"{told}, but {', '.join(losers)} became worse."
    else:
        sentence = f"{told}: better."
    names = []
    for place, i in enumerate(np.argsort(now["pictures"], kind="stable")[:WORST]):
        path = folder / "pictures" / f"worst-{place}.png"
        draw_labels(path, held[int(i)], (old[int(i)], new[int(i)]))
        names.append(path.relative_to(folder).as_posix())
    verdict = Verdict(
        gain >= GAIN and not losers, sentence, rows, {"mIoU": was["mIoU"]},
        {"mIoU": now["mIoU"]}, names, len(held),
    )  # fmt: skip
    verdict.write(folder)
    return verdict


def draw_labels(
    path: Path, picture: Picture, answers: Sequence[NDArray[np.uint8]], side: int = 256
) -> None:
    """Write a PNG: the picture, its labels by hand, then each answer."""
    import imageio.v3 as iio

    step = max(1, -(-max(picture.grey.shape) // side))
    grey = (picture.grey[::step, ::step] >> 8).astype(np.uint8)
    parts = [np.repeat(grey[..., None], 3, 2)]
    for labels in (picture.classes, *answers):
        own = labels[::step, ::step]
        known = (own > 0) & (own != IGNORE)
        colour = COLOURS[1 + (own.astype(int) - 1) % (len(COLOURS) - 1)]
        mixed = (0.5 * parts[0] + 0.5 * colour).astype(np.uint8)
        parts.append(np.where(known[..., None], mixed, parts[0]))
    gap = np.full((grey.shape[0], 4, 3), 255, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    row = [p for part in parts for p in (part, gap)][:-1]
    iio.imwrite(path, np.concatenate(row, 1))
