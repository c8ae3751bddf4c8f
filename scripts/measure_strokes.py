"""Measure strokes to labels: accuracy, ablations, other images, the published ways.

    python scripts/measure_strokes.py --protocols FOLDER --data FOLDER [--only NAME …]

`--only few` prints the quick and the fine answer beside the rivals, all on the same
strokes: the forest of the protocol, whose filters are kept from stroke to stroke, and
scikit-image's `TrainableSegmenter` as it comes. FOLDER of protocols holds
`fewlabel.py`, which draws strokes and has the random forest that a user would take
instead; FOLDER of data holds sets with `images` and `labels`.
Everything goes through `Session`, as in the panel. Synthetic scenes are fresh ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch

from napari_sesami import Scan, Session
from napari_sesami.lab import scenes as families
from napari_sesami.models import load_token_encoder
from napari_sesami.retrieve import (
    combine,
    load_bank,
    retriever,
    voting,
    voting_rows,
)
from napari_sesami.session import ReadOptions

if TYPE_CHECKING:
    from types import ModuleType

FAMILIES = {
    "TEM": ("finfet_across", "dram_upright", "nand_upright", "beol_cut", "gaa_across"),
    "SEM": ("sem_low", "sem_high"),
    "XRM": ("hbm_slice",),
    "AOI": ("wire_bond",),
}
SEEDS = range(4_400_000, 4_400_003)
REAL = ("nasa_superalloy", "nasa_ebc")
PARTICLES = "emps"  # masks of single particles: one class beside the background
WAYS = ("forest", "TrainableSegmenter", "quick", "fine")
Item = tuple[str, np.ndarray, np.ndarray]


def protocol(folder: Path) -> ModuleType:
    """The strokes and the forest to compare with."""
    spec = importlib.util.spec_from_file_location("fewlabel", folder / "fewlabel.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scenes(group: str) -> list[Item]:
    """Fresh synthetic scenes of a family, grey, at most 512²."""
    found = []
    for family in FAMILIES[group]:
        for seed in SEEDS:
            scene = families.FAMILIES[family](seed)
            image = np.asarray(scene.image, np.float32)
            labels = np.asarray(scene.labels).astype(int)
            image = image.mean(-1) if image.ndim == 3 else image
            low, high = np.percentile(image, [0.5, 99.5])
            image = np.clip((image - low) / (high - low + 1e-6), 0, 1)
            found.append((f"{family}-{seed}", image[:512, :512], labels[:512, :512]))
    return found


def particles(folder: Path, most: int) -> list[Item]:
    """Pictures of particles against what is between them, at most 512²."""
    import imageio.v3 as iio

    found = []
    for path in sorted((folder / "images").glob("*.png"))[:most]:
        image = iio.imread(path).astype(np.float32)
        image = image[..., :3].mean(-1) if image.ndim == 3 else image
        truth = (iio.imread(folder / "segmaps" / path.name) > 0).astype(int)
        low, high = np.percentile(image, [0.5, 99.5])
        image = np.clip((image - low) / (high - low + 1e-6), 0, 1)
        found.append((path.stem, image[:512, :512], truth[:512, :512]))
    return found


class Bench:
    """The sets, the strokes on them, and how a labelling is judged."""

    def __init__(self, few: ModuleType, data: Path, most: int) -> None:
        self.few, self.data, self.most = few, data, most
        self.encoder = load_token_encoder(device="cpu")

    def items(self, name: str) -> list[Item]:
        """Name, grey image and truth of a set."""
        if name in FAMILIES:
            return scenes(name)[: self.most]
        if name == PARTICLES:
            return particles(self.data / name, self.most)
        return list(self.few.load(str(self.data / name)))[: self.most]

    def strokes(
        self, k: int, truth: np.ndarray, seed: int = 0
    ) -> tuple[np.ndarray, list[int]]:
        """Three strokes of each class that is there, and which these are."""
        classes = [int(c) for c in np.unique(truth) if (truth == c).sum() > 200]
        rng = np.random.default_rng([seed, k])
        return self.few.strokes(truth, rng, 3, classes=classes), classes

    def score(self, labels: Any, truth: Any, strokes: Any, classes: list[int]) -> float:
        """MIoU over pixels that were not painted."""
        found = self.few.iou(labels, truth, strokes == 0, classes)
        return float(np.nanmean(list(found.values())))

    def session(self, image: np.ndarray, n: int, encoder: Any = None) -> Session:
        """Open a session on an image, with names for all classes."""
        session = Session(Scan.from_array(image))
        session.retrieval.encoder = encoder or self.encoder
        for c in range(n):
            session.classes.add(f"class {c}")
        return session

    def painted(
        self, k: int, item: Item, encoder: Any = None, seed: int = 0
    ) -> tuple[Any, ...]:
        """A session with strokes, the strokes, the classes and the truth."""
        _, image, truth = item
        strokes, classes = self.strokes(k, truth, seed)
        session = self.session(image, int(truth.max()) + 1, encoder)
        session.paint(strokes.astype(np.uint8))
        return session, strokes, classes, truth


@dataclass
class Kept:
    """Answers of all ways on the images of a set."""

    miou: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    rare: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    first: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    next: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def judge(
        self, way: str, labels: Any, truth: Any, strokes: Any, classes: list[int]
    ) -> None:
        """Note IoU over classes; of the rarest one precision and recall, too."""
        asked, found = strokes == 0, []
        for c in classes:
            true, here = (truth == c) & asked, (labels == c + 1) & asked
            hit = (true & here).sum()
            found.append(
                (
                    hit / max((true | here).sum(), 1),
                    hit / max(here.sum(), 1),
                    hit / max(true.sum(), 1),
                )
            )
        sizes = [(truth == c).sum() for c in classes]
        self.miou[way].append(float(np.mean([f[0] for f in found])))
        self.rare[way].append(found[int(np.argmin(sizes))])


def timed(work: Any) -> tuple[Any, float]:
    """What some work gives, and its seconds of processor."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def few_labels(bench: Bench, name: str, seeds: int) -> Kept:
    """Judge all ways after the first strokes, and time them after one more."""
    kept = Kept()
    for k, item in enumerate(bench.items(name)):
        for seed in range(seeds):
            session, strokes, classes, truth = bench.painted(k, item, seed=seed)
            if len(classes) < 2:
                continue

            def ours(refine: bool, session: Any = session) -> Any:
                how = ReadOptions(refine=refine)
                return session.retrieval.label(0, how, quick=not refine).labels

            for way, refine in (("quick", False), ("fine", True)):
                labels, took = timed(partial(ours, refine))
                kept.judge(way, labels, truth, strokes, classes)
                kept.first[way].append(took)
            y, x = np.argwhere((strokes == 0) & (truth == classes[0]))[0]
            more = np.zeros(truth.shape, np.uint8)
            more[y : y + 3, x : x + 20] = classes[0] + 1
            session.paint(more)
            for way, refine in (("quick", False), ("fine", True)):
                kept.next[way].append(timed(partial(ours, refine))[1])
            for way, rival in (("forest", forest), ("TrainableSegmenter", trainable)):
                filters, took = timed(partial(rival, item[1]))
                labels, again = timed(partial(filters, strokes))
                kept.judge(way, labels, truth, strokes, classes)
                kept.first[way].append(took + again)
                kept.next[way].append(again)
    return kept


def forest(image: np.ndarray) -> Any:
    """The protocol's filters of an image, kept; what then labels from strokes."""
    from scipy import ndimage
    from skimage import feature
    from sklearn.ensemble import RandomForestClassifier

    maps = [image]
    for s in (0.7, 1, 1.6, 3.5, 5, 10):
        hessian = feature.hessian_matrix(image, s, use_gaussian_derivatives=False)
        maps += [
            ndimage.gaussian_filter(image, s),
            ndimage.gaussian_laplace(image, s),
            ndimage.gaussian_gradient_magnitude(image, s),
            *feature.hessian_matrix_eigvals(hessian),
            *feature.structure_tensor_eigenvalues(feature.structure_tensor(image, s)),
        ]
    looks = np.stack(maps, -1).astype(np.float32)

    def label(strokes: np.ndarray) -> Any:
        model = RandomForestClassifier(100, random_state=0, class_weight="balanced")
        model.fit(looks[strokes > 0], strokes[strokes > 0])
        return model.predict(looks.reshape(-1, looks.shape[-1])).reshape(image.shape)

    return label


def trainable(image: np.ndarray) -> Any:
    """The features of scikit-image's segmenter, kept; what then labels from strokes."""
    from skimage.future import TrainableSegmenter

    segmenter = TrainableSegmenter()
    segmenter.compute_features(image)
    looks = segmenter.features

    def label(strokes: np.ndarray) -> Any:
        from skimage import future

        fitted = future.fit_segmenter(strokes, looks, segmenter.clf)
        return future.predict_segmenter(looks, fitted)

    return label


def print_few(name: str, kept: Kept) -> None:
    """One line: accuracy of all ways, differences with their errors, seconds."""
    mean = {way: float(np.mean(kept.miou[way])) for way in WAYS}
    rare = {way: np.mean(kept.rare[way], 0) for way in WAYS}
    cells = [f"{mean[way]:.3f}" for way in WAYS]
    for way in ("quick", "fine"):
        gain = np.subtract(kept.miou[way], kept.miou["forest"])
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
        cells.append(f"{gain.mean():+.3f} ± {error:.3f}")
    cells += ["{:.3f} ({:.2f}, {:.2f})".format(*rare[way]) for way in WAYS]
    for times in (kept.first, kept.next):
        cells.append(" / ".join(f"{np.median(times[way]):.2f}" for way in WAYS))
    print(f"| {name} ({len(kept.miou['fine'])}) | " + " | ".join(cells) + " |")
    sys.stdout.flush()


def across(bench: Bench, name: str) -> None:
    """Strokes on two images, the bank on all others, beside the same forest."""
    items = bench.items(name)
    rows = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        files, taught = [], []
        for k in (0, len(items) // 2):
            session, strokes, *_ = bench.painted(k, items[k])
            path = Path(folder) / f"{k}.bank"
            session.retrieval.export_bank(path, zoom=1.0, thumbnails=False)
            files.append(load_bank(path))
            taught.append((items[k][1], strokes))
        bank = combine(*files)
        forest = trained_forest(bench.few, taught)
        for k, (_, image, truth) in enumerate(items):
            if k in (0, len(items) // 2):
                continue
            classes = [int(c) for c in np.unique(truth) if (truth == c).sum() > 200]
            none = np.zeros(truth.shape, int)
            session = bench.session(image, int(truth.max()) + 1)
            session.retrieval.teach(bank)
            for key, refine in (("quick", False), ("ours", True)):
                labels = session.segment(0, refine=refine).labels[0]
                rows[key].append(bench.score(labels, truth, none, classes))
            rows["forest"].append(bench.score(forest(image), truth, none, classes))
    mean = {key: float(np.mean(values)) for key, values in rows.items()}
    print(
        f"| {name} ({len(rows['ours'])}) | {mean['forest']:.3f} | {mean['quick']:.3f} "
        f"| {mean['ours']:.3f} |",
        flush=True,
    )


def trained_forest(few: ModuleType, taught: list[tuple[Any, Any]]) -> Any:
    """The protocol's forest, fitted on several images."""
    from sklearn import ensemble

    kept: list[tuple[Any, Any]] = []

    class Collecting(ensemble.RandomForestClassifier):  # type: ignore[misc]
        """Hands over what it is given."""

        def fit(self, x: Any, y: Any) -> Any:
            kept.append((x, y))
            return super().fit(x, y)

    with mock.patch.object(ensemble, "RandomForestClassifier", Collecting):
        for image, strokes in taught:
            few.rf(image, strokes)
    model = ensemble.RandomForestClassifier(
        100, random_state=0, class_weight="balanced"
    ).fit(np.concatenate([x for x, _ in kept]), np.concatenate([y for _, y in kept]))

    class Fitted(ensemble.RandomForestClassifier):  # type: ignore[misc]
        """Predicts with the forest of all images."""

        def fit(self, x: Any, y: Any) -> Any:
            return model

    def label(image: np.ndarray) -> Any:
        some = np.zeros(image.shape, int)
        some[0, :2] = 1
        with mock.patch.object(ensemble, "RandomForestClassifier", Fitted):
            return few.rf(image, some)

    return label


class Neck:
    """The other tokens that the bundled encoder has: a sixteenth, before the way up."""

    name, key, stride = "neck", "neck", 16

    def __init__(self, encoder: Any) -> None:
        self.model, self.tile, self.device = encoder.nano, 256, encoder.device
        self.dim = 128

    def encode(self, view: torch.Tensor, normalise: bool = False) -> torch.Tensor:
        """Tokens of length one."""
        image = torch.cat([self.model.encode(v[None]).image for v in view])
        return torch.nn.functional.normalize(image.float(), dim=1)


@contextmanager
def patched(**changes: Any) -> Any:
    """Set module values for one variant: `module__NAME=value`."""
    homes = {"Retriever": retriever.Retriever, "retriever": retriever}
    patches = [
        mock.patch.object(homes[key.split("__")[0]], key.split("__", 1)[1], value)
        for key, value in changes.items()
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def _no_trees(self: Any, check: Any = None) -> None:
    """Learn nothing of pixels."""


def _no_share(p: Any, share: Any) -> Any:
    """Leave all classes alike."""
    return p


def _no_balance(rows: Any, n_classes: int) -> Any:
    """Choose the temperature, but let a class with more strokes say more."""
    temper, score = voting.tune(rows, n_classes)
    return replace(temper, gamma=0.0), score


def variants(bench: Bench) -> dict[str, tuple[Any, dict[str, Any], dict[str, Any]]]:
    """Encoder, changed values and arguments of `segment`, by name."""
    quick = {"refine": False}
    small = partial(voting_rows.VotingRows, cap=200, kept=200)
    debiased = load_token_encoder(device="cpu", debias=True)
    return {
        "all of it": (None, {}, {}),
        "no pixel evidence": (None, {"Retriever__trees": _no_trees}, {}),
        "quick": (None, {}, quick),
        "quick, votes of tokens alone": (None, {"Retriever__trees": _no_trees}, quick),
        "quick, no share of the plane": (
            None,
            {"retriever__by_share": _no_share},
            quick,
        ),
        "quick, no class balance": (None, {"retriever__tune": _no_balance}, quick),
        "quick, condensed to 200 rows": (None, {"retriever__VotingRows": small}, quick),
        "quick, de-biased tokens": (debiased, {}, quick),
        "quick, tokens of a sixteenth": (Neck(bench.encoder), {}, quick),
        "distance (AOI-SSL, mask patches)": (None, {}, {"method": "distance"}),
        "attention (AOI-SSL, mask patches)": (None, {}, {"method": "attention"}),
        "histogram (Hummingbird)": (None, {}, {"method": "histogram"}),
    }


def ablation(bench: Bench, names: list[str]) -> None:
    """MIoU with one part changed."""
    print("| | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for title, (encoder, changes, arguments) in variants(bench).items():
        cells = []
        for name in names:
            scores = []
            for k, item in enumerate(bench.items(name)):
                with patched(**changes):
                    session, strokes, classes, truth = bench.painted(k, item, encoder)
                    labels = session.segment(**arguments).labels[0]
                scores.append(bench.score(labels, truth, strokes, classes))
            cells.append(f"{np.mean(scores):.3f}")
        print(f"| {title} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--protocols", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-n", type=int, default=11, help="images of each set")
    parser.add_argument("--only", nargs="*", default=["few", "across", "ablation"])
    parser.add_argument("--seeds", type=int, default=2, help="drawings of strokes")
    parser.add_argument("--sets", nargs="*", help="only these, of `few`")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(protocol(arguments.protocols), arguments.data, arguments.n)
    names = [*REAL, *FAMILIES]
    if "few" in arguments.only:
        titles = [f"{way}" for way in WAYS]
        titles += ["quick − forest", "fine − forest"]
        titles += [f"rarest class: {way} (precision, recall)" for way in WAYS]
        titles += ["first answer, s of " + " / ".join(WAYS), "next stroke, s"]
        print("| | " + " | ".join(titles) + " |\n|---|" + "---|" * len(titles))
        for name in [*REAL, PARTICLES, *FAMILIES]:
            if arguments.sets is None or name in arguments.sets:
                print_few(name, few_labels(bench, name, arguments.seeds))
    if "across" in arguments.only:
        print("\n| two images → others | forest | quick | ours |\n|---|---|---|---|")
        for name in REAL:
            across(bench, name)
    if "ablation" in arguments.only:
        print()
        ablation(bench, names)


if __name__ == "__main__":
    sys.exit(main())
