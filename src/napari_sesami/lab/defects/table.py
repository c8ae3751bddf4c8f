"""Methods side by side on whole lots that no label came from: docs/defects.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.classify import (
    FeatureCache,
    Lot,
    PictureReader,
    Scaling,
    Space,
    features_of,
    fit_head,
    fit_model,
    open_lot,
    share_text,
    thumbnail,
)
from napari_sesami.lab.defects.draw import draw_lot
from napari_sesami.lab.defects.rivals import object_features, resnet_answers

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import Progress

LABELS = (5, 20, 80)
"""Labels a class."""
DRAWS = 3
TRIES = 12
MOST_RIVAL = 20
"""Labels a class up to which a net from scratch is trained on every draw."""
PURITY = 0.9
DRAWN_LOTS = 3
LEFT_OUT = 0.34
"""Share of the lots that judge, in each draw other ones."""


@dataclass(frozen=True, eq=False)
class Bench:
    """A labelled lot with everything that the methods look at."""

    lot: Lot
    views: dict[str, NDArray[np.float32]]
    thumbnails: NDArray[np.float32]
    objects: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    lots: NDArray[np.int64]

    def draws(self, each: int) -> list[int]:
        """Give the first draws that have so many labels of every class."""
        good = [d for d in range(TRIES) if self.split(each, d) is not None]
        return good[:DRAWS]

    def split(
        self, each: int, draw: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]] | None:
        """Draw labels from some lots; the others judge. None if there are too few."""
        rng = np.random.default_rng(draw)
        kinds = np.unique(self.lots)
        out = max(1, round(LEFT_OUT * len(kinds)))
        judges = np.roll(np.random.default_rng(0).permutation(kinds), draw * out)[:out]
        judged = np.isin(self.lots, judges)
        rows = []
        for k in range(len(self.names)):
            own = np.flatnonzero(~judged & (self.labels == k))
            if len(own) < each:
                return None
            rows.append(rng.permutation(own)[:each])
        return np.sort(np.concatenate(rows)), np.flatnonzero(judged), ~judged


METHODS = {
    "thumbnails of both + ridge": "thumbnails",
    "forest on features of the object": "forest",
    "mean and deviation of tokens, high": "plain",
    "high": ("high",),
    "low": ("low",),
    "pair": ("high", "low"),
    "high + template": ("high", "difference"),
    "pair + template": ("high", "low", "difference"),
}
"""What is compared; tuples are views whose heads are averaged."""


def print_table(
    kind: str,
    folder: Path | None = None,
    *,
    each: int = 60,
    encoder: str = "sesami-nano",
    rivals: bool = False,
    progress: Progress | None = None,
) -> None:
    """Print accuracies on lots held out, and what a wished purity gave there.

    Parameters
    ----------
    kind
        "pairs" draws lots; "deeppcb" takes the folder, whose lots are boards.
    folder
        Of DeepPCB.
    each
        Drawn pairs a class and lot.
    encoder
        Of the catalog.
    rivals
        Also train a ResNet-18 from scratch.
    progress
        Told after some defects.
    """
    if kind == "deeppcb":
        assert folder is not None
        lot = open_lot(folder)
    else:
        lot = Lot.joined([draw_lot(each, 1 + k) for k in range(DRAWN_LOTS)])
    bench = _bench(lot, encoder, progress)
    lots = len(np.unique(bench.lots))
    print(
        f"{len(lot)} defects of {len(bench.names)} classes in {lots} lots; accuracy on "
        f"lots held out, mean ± deviation of {DRAWS} draws of labels and lots"
    )
    print("| method | " + " | ".join(f"{n} a class" for n in LABELS) + " |")
    print("|---|" + "---|" * len(LABELS))
    methods = dict(METHODS)
    if rivals:
        methods["ResNet-18 from scratch, high"] = "resnet"
    for name, how in methods.items():
        cells = []
        for n in LABELS:
            draws = bench.draws(n)
            if how == "resnet" and n > MOST_RIVAL:
                draws = draws[:1]  # minutes each
            good = [_accuracy(bench, how, n, draw) for draw in draws]
            cells.append(
                f"{np.mean(good):.3f} ± {np.std(good):.3f}" if good else "too few"
            )
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nDecided by machine at a wished purity of {PURITY:g} (pair + template):")
    print("| labels a class | decided | right of those decided |")
    print("|---|---|---|")
    for n in LABELS:
        decided = right = total = 0
        for draw in bench.draws(n):
            model, views, test = _fitted(bench, METHODS["pair + template"], n, draw)
            table = model.probabilities(views)
            said, sure = table.argmax(1), table.max(1)
            least = np.array([t.confidence for t in model.thresholds(PURITY)])
            novelty = model.novelty(model.space.places(views))
            mine = (sure >= least[said]) & (novelty < 1)
            decided += int(mine.sum())
            right += int((said[mine] == bench.labels[test][mine]).sum())
            total += len(test)
        if total:
            print(
                f"| {n} | {share_text(decided, total)} | {share_text(right, decided)} |"
            )


def _bench(lot: Lot, encoder: str, progress: Progress | None) -> Bench:
    from napari_sesami.models import load_token_encoder

    found = features_of(
        lot.defects,
        load_token_encoder(encoder),
        cache=FeatureCache(),
        progress=progress,
    )
    reader = PictureReader()
    small, objects = [], []
    for defect in lot.defects:
        pair = []
        for picture in (defect.high, defect.low):
            assert picture is not None
            grey = thumbnail(reader, picture, 64)
            assert grey is not None
            pair.append(_resized(grey, 16))
        small.append(np.concatenate(pair))
        assert defect.high is not None
        objects.append(object_features(reader.read(defect.high)))
    names = tuple(sorted({str(d.label) for d in lot.defects}))
    kinds = sorted({d.lot for d in lot.defects})
    return Bench(
        lot, found.views, np.array(small, np.float32), np.array(objects, np.float32),
        np.array([names.index(str(d.label)) for d in lot.defects]), names,
        np.array([kinds.index(d.lot) for d in lot.defects]),
    )  # fmt: skip


def _resized(grey: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    from skimage.transform import resize

    found = resize(grey.astype(np.float32) / 255, (side, side), anti_aliasing=True)
    return np.asarray(found, np.float32).ravel()


def _fitted(bench: Bench, views: object, each: int, draw: int):  # type: ignore[no-untyped-def]
    """Fit on some lots: the model, the views of the judges, and who they are."""
    parts = bench.split(each, draw)
    assert parts is not None
    rows, test, mine = parts
    assert isinstance(views, tuple)
    own = {v: bench.views[v] for v in views if v in bench.views}
    scalings = {v: Scaling.of(x[mine], v) for v, x in own.items()}
    first = next(iter(own))
    model = fit_model(
        own, scalings, Space.of(first, own[first][mine]), rows, bench.labels[rows],
        bench.names, bench.lots[rows],
    )  # fmt: skip
    return model, {v: x[test] for v, x in own.items()}, test


def _accuracy(bench: Bench, how: object, each: int, draw: int) -> float:
    parts = bench.split(each, draw)
    assert parts is not None
    rows, test, mine = parts
    truth = bench.labels
    if isinstance(how, tuple):
        model, views, _ = _fitted(bench, how, each, draw)
        return float((model.probabilities(views).argmax(1) == truth[test]).mean())
    if how == "forest":
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(200, class_weight="balanced", random_state=draw)
        forest.fit(bench.objects[rows], truth[rows])
        return float((forest.predict(bench.objects[test]) == truth[test]).mean())
    if how == "resnet":
        said = resnet_answers(bench.lot, rows, truth[rows], test, draw)
        return float((said == truth[test]).mean())
    if how == "plain":
        numbers = bench.views["high"]
        dim = (numbers.shape[1] - 16) // 8
        numbers = numbers[:, 5 * dim : 7 * dim]
    else:
        numbers = bench.thumbnails
    scaled = Scaling.of(numbers[mine]).apply(numbers)
    head, _ = fit_head(scaled[rows], truth[rows], len(bench.names), bench.lots[rows])
    return float((head.scores(scaled[test]).argmax(1) == truth[test]).mean())
