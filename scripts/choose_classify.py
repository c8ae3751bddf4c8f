"""Choose the constants of `classify/pooling.py` and `classify/decide.py` on drawn lots.

Nothing but procedural pairs is looked at. Prints accuracy on the lot held out for each
value (5 and 20 labels a class; their mean chooses), then what a wished purity of 0.9
gave for each prior. With names, only these are tried.

    python scripts/choose_classify.py -n 42 TEXTURE USUAL FORM
"""

from __future__ import annotations

import argparse

import numpy as np

import napari_sesami.classify.decide as decide_module
import napari_sesami.classify.features as features_module
import napari_sesami.classify.pooling as pooling
from napari_sesami.classify import PictureReader, Scaling, Space, fit_model
from napari_sesami.lab.defects import draw_lot
from napari_sesami.models import load_token_encoder

LOTS, LABELS, DRAWS, PURITY = 3, (5, 20), 12, 0.9
TRIED = {
    "RIM": (0.1, 0.2, 0.3),
    "MIDDLE": (0.1, 0.15, 0.25),
    "NEAR": (0.09, 0.18, 0.27),
    "SOME": (0.01, 0.02, 0.04),
    "TEXTURE": (0.1, 0.2, 0.4, 1.0),
    "USUAL": (0.1, 0.2, 0.3, 1.0),
    "FORM": (1.0, 2.0, 3.0, 5.0),
}
WEIGHTS = ("TEXTURE", "USUAL", "FORM")
"""What changes no pooled number, only what it counts."""
PRIORS = (1.0, 2.0, 4.0, 8.0, 16.0)


def main() -> None:
    """Draw, encode once, pool for every value, judge on lots held out."""
    ap = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    ap.add_argument("-n", type=int, default=12, help="pairs a class and lot")
    ap.add_argument("names", nargs="*", metavar="CONSTANT", help=", ".join(TRIED))
    arguments = ap.parse_args()
    n, names = arguments.n, arguments.names or [*TRIED, "PRIOR"]
    encoder, reader = load_token_encoder(), PictureReader()
    tokens, labels, lots = [], [], []
    for number in range(LOTS):
        lot = draw_lot(n, 501 + number)
        kinds = sorted({str(d.label) for d in lot.defects})
        for defect in lot.defects:
            pair = [
                features_module.tokens_of(
                    encoder, features_module.prepared(reader.read(p))
                ).astype(np.float16)
                for p in (defect.high, defect.template)
                if p is not None
            ]
            tokens.append(pair)
            labels.append(kinds.index(str(defect.label)))
            lots.append(number)
    y, where = np.array(labels), np.array(lots)

    def views() -> dict[str, np.ndarray]:
        pairs = [(a.astype(np.float32), b.astype(np.float32)) for a, b in tokens]
        return {
            "high": np.stack([pooling.pooled_alone(a) for a, _ in pairs]),
            "difference": np.stack([pooling.pooled_beside(a, b) for a, b in pairs]),
        }

    def judged(found: dict[str, np.ndarray], each: int) -> tuple[float, float, float]:
        """Accuracy, share decided at the purity, and share right of those."""
        right, decided, hits, total = 0, 0, 0, 0
        for draw in range(DRAWS):
            rng = np.random.default_rng(draw)
            out = draw % LOTS
            mine, test = where != out, np.flatnonzero(where == out)
            rows = np.sort(
                np.concatenate(
                    [
                        rng.permutation(np.flatnonzero(mine & (y == k)))[:each]
                        for k in range(y.max() + 1)
                    ]
                )
            )
            model = fit_model(
                found,
                {v: Scaling.of(x[mine], v) for v, x in found.items()},
                Space.of("high", found["high"][mine]),
                rows, y[rows], [str(k) for k in range(y.max() + 1)], where[rows],
            )  # fmt: skip
            table = model.probabilities({v: x[test] for v, x in found.items()})
            said, sure = table.argmax(1), table.max(1)
            least = np.array([t.confidence for t in model.thresholds(PURITY)])
            good = said == y[test]
            right += int(good.sum())
            decided += int((sure >= least[said]).sum())
            hits += int(good[sure >= least[said]].sum())
            total += len(test)
        return right / total, decided / total, hits / max(1, decided)

    base = views()
    for name in [name for name in TRIED if name in names]:
        values = TRIED[name]
        kept = getattr(pooling, name)
        scores = []
        for value in values:
            setattr(pooling, name, value)
            found = base if value == kept or name in WEIGHTS else views()
            good = [judged(found, each)[0] for each in LABELS]
            scores.append(np.mean(good))
            told = " / ".join(f"{share:.3f}" for share in good)
            print(f"{name} {value:g}: accuracy {told}", flush=True)
        setattr(pooling, name, kept)
        print(f"  taken: {name} {kept:g}; best here: {values[np.argmax(scores)]:g}")
    if "PRIOR" not in names:
        return
    kept = decide_module.PRIOR
    for prior in PRIORS:
        decide_module.PRIOR = prior
        _, share, right = judged(base, LABELS[-1])
        print(f"PRIOR {prior:g}: decided {share:.2f}, right {right:.3f}", flush=True)
    print(f"  taken: PRIOR {kept:g} (wished {PURITY:g})")


if __name__ == "__main__":
    main()
