"""Which frozen encoders there are, and what a fine-tuned one has seen."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING

from napari_sesami.classify.errors import ClassifyError
from napari_sesami.common.checked import checked
from napari_sesami.common.home import home

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.classify.defect import Defect
    from napari_sesami.models import TokenEncoder

ENCODER = "sesami-nano"
LITE0 = "lite0"
SHORT = {"nano": ENCODER, "imagenet": LITE0}
"""Other names that people use."""
LEARNT = "learnt"
"""Key of a weights file's metadata: marks of the defects it was tuned on."""
MOST_LEARNT = 2**24


def encoder_names() -> list[tuple[str, str]]:
    """Give the names that `Classifier` takes, and titles, the bundled one first."""
    from napari_sesami.models import catalog

    found = {e.name: e.title for e in catalog.entries()}
    found.setdefault(LITE0, "EfficientNet-Lite0, ImageNet (extra imagenet)")
    return list(found.items())


def load_encoder(name: str | Path, device: str = "auto") -> TokenEncoder:
    """Load an encoder by its name in the catalog, a short name, or a file."""
    from napari_sesami.models import load_token_encoder

    return load_token_encoder(SHORT.get(str(name), name), device)


def mark_of(defect: Defect) -> str:
    """Name a defect so that it is known again in any lot."""
    text = json.dumps([defect.lot, defect.wafer, defect.id])
    return blake2b(text.encode(), digest_size=8).hexdigest()


def learnt_by(name: str | Path) -> frozenset[str]:
    """Give marks of the defects whose labels an encoder was tuned on."""
    from napari_sesami.models import ModelError, facts_of_encoder

    try:
        text = facts_of_encoder(SHORT.get(str(name), name)).get(LEARNT, "[]")
    except ModelError:
        return frozenset()  # not in the catalog yet: it comes with a package
    if len(text) > MOST_LEARNT:
        raise ClassifyError(f"The weights {name} are damaged; get them again.")
    found: list[str] = checked(list[str], text, f"the weights {name}", ClassifyError)
    return frozenset(found)


def weights_of(name: str) -> Path:
    """Find the file of an encoder's weights."""
    from pathlib import Path

    from napari_sesami.models import catalog

    path = Path(name)
    return path if path.is_file() else catalog.find(name).path


def unpacked(weights: bytes) -> Path:
    """Put weights that came inside a model where encoders are loaded from."""
    from napari_sesami.common.disk import write_atomic

    name = blake2b(weights, digest_size=12).hexdigest()
    path = home() / "defects" / "encoders" / f"{name}.safetensors"
    if not path.is_file() or path.read_bytes() != weights:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, weights)
    return path
