"""The examination on real images, by protocol scripts and data that lie elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_sesami.prompt import Predictor
from napari_sesami.retrieve import PaintedPixels, Retriever, TokenStore, choose_zoom
from napari_sesami.scan import Scan

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from napari_sesami.models import Nano

SETS = ("nasa_superalloy", "nasa_ebc")


class ClickMethod:
    """The bundled model behind the interface of the click protocol."""

    def __init__(self, nano: Nano) -> None:
        self.predictor = Predictor(nano)

    def start(self, image: NDArray[Any]) -> None:
        """Take the next image."""
        self.scan = Scan.from_array(image)
        self.last: Any = None
        self.predictor.store.clear()

    def predict(
        self, points: list[Any], labels: list[int], box: tuple[int, ...] | None
    ) -> NDArray[np.bool_]:
        """Answer; the protocol adds one click at a time to the same object."""
        if box is not None:
            return self.predictor.predict(self.scan, box=box).full
        last = self.last if len(points) > 1 else None
        self.last = self.predictor.predict(
            self.scan, points=points, labels=labels, mask=last
        )
        return self.last.full


class VoteMethod:
    """Plain class-balanced token voting, the reading scale chosen from the strokes."""

    def __init__(self, nano: Nano, refine: bool = False) -> None:
        self.encoder, self.refine = nano.token_encoder(), refine
        self.zooms: list[float] = []

    def __call__(self, image: NDArray[Any], strokes: NDArray[Any]) -> NDArray[Any]:
        """Label every pixel from the strokes."""
        scan = Scan.from_array(image)
        owners = stroke_owners(strokes)
        stores: dict[float, TokenStore] = {}

        def store(zoom: float) -> TokenStore:
            return stores.setdefault(zoom, TokenStore(scan, self.encoder, zoom=zoom))

        zoom, _ = choose_zoom(store, [(0, PaintedPixels.of(strokes, owners))])
        self.zooms.append(zoom)
        retriever = Retriever(store(zoom), int(strokes.max()))
        retriever.set_strokes(0, strokes, owners)
        retriever.tune()
        return retriever.segment(0, refine=self.refine).labels


def stroke_owners(strokes: NDArray[Any]) -> NDArray[np.int64]:
    """Number connected strokes of one class, as if each had been painted in one go."""
    owners = np.zeros(strokes.shape, np.int64)
    for k in np.unique(strokes[strokes > 0]):
        pieces, _ = ndi.label(strokes == k, np.ones((3, 3)))
        owners = np.where(pieces > 0, pieces + owners.max(), owners)
    return owners


def load_protocols(folder: Path) -> tuple[ModuleType, ModuleType]:
    """Load the click and few-label protocols from their folder."""
    found = []
    for name in ("fewlabel", "clicks"):
        spec = importlib.util.spec_from_file_location(name, Path(folder) / f"{name}.py")
        if (
            spec is None
            or spec.loader is None
            or not Path(folder, f"{name}.py").is_file()
        ):
            raise FileNotFoundError(
                f"{folder} holds no {name}.py; give the protocols' folder."
            )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # the click protocol imports the other by name
        spec.loader.exec_module(module)
        found.append(module)
    return found[1], found[0]


def click_scores(
    nano: Nano, clicks: Any, folder: Path, images: int = 11, most: int = 6
) -> dict[str, float]:
    """The click protocol: mean IoU after 1, 3, 5 clicks and with a box."""
    method = ClickMethod(nano)
    found: dict[str, list[float]] = {
        "clicks 1": [],
        "clicks 3": [],
        "clicks 5": [],
        "box": [],
    }
    for j, (_, image, truth) in enumerate(clicks.load(str(folder))):
        if j >= images:
            break
        method.start(image)
        for _, mask in clicks.objects(truth, np.random.default_rng([7, j]), most):
            points: list[Any] = []
            labels: list[int] = []
            guess = np.zeros_like(mask)
            for i in range(1, 6):
                (here, missed), (there, extra) = (
                    clicks.deepest(mask & ~guess),
                    clicks.deepest(guess & ~mask),
                )
                points.append(here if missed >= extra else there)
                labels.append(int(missed >= extra))
                guess = method.predict(points, labels, None)
                if f"clicks {i}" in found:
                    found[f"clicks {i}"].append(
                        (guess & mask).sum() / (guess | mask).sum()
                    )
            ys, xs = np.nonzero(mask)
            guess = method.predict(
                [], [], (ys.min(), xs.min(), ys.max() + 1, xs.max() + 1)
            )
            found["box"].append((guess & mask).sum() / max(1, (guess | mask).sum()))
    out = {k: round(float(np.mean(v)), 3) for k, v in found.items()}
    return out | {"objects": len(found["box"])}


def stroke_scores(
    nano: Nano, fewlabel: Any, folder: Path, images: int = 11, refine: bool = False
) -> dict[str, float]:
    """The few-label protocol: mean IoU by plain voting, and the scales it chose."""
    method, rows = VoteMethod(nano, refine), []
    for k, (_, image, truth) in enumerate(fewlabel.load(str(folder))):
        if k >= images:
            break
        classes = [c for c in np.unique(truth) if (truth == c).sum() > 200]
        strokes = fewlabel.strokes(
            truth, np.random.default_rng([0, k]), 3, classes=classes
        )
        found = fewlabel.iou(method(image, strokes), truth, strokes == 0, classes)
        rows.append(float(np.nanmean(list(found.values()))))
    chosen = {
        f"read at ×{z:g}": method.zooms.count(z) for z in sorted(set(method.zooms))
    }
    return {"mIoU": round(float(np.mean(rows)), 3), **chosen}


def real_report(nano: Nano, protocols: Path, data: Path) -> dict[str, dict[str, float]]:
    """Both protocols on both sets."""
    clicks, fewlabel = load_protocols(protocols)
    out: dict[str, dict[str, float]] = {}
    for name in SETS:
        out[f"{name} clicks"] = click_scores(nano, clicks, data / name)
        out[f"{name} strokes"] = stroke_scores(nano, fewlabel, data / name)
        out[f"{name} strokes, refined"] = stroke_scores(
            nano, fewlabel, data / name, refine=True
        )
    return out
