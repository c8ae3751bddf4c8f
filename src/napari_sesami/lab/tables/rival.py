"""DeepLabV3+ on the same pictures: the supervised rival of Table 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from napari_sesami.models import choose_precision
from napari_sesami.train import TrainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.train import Picture

ENCODER = "resnet18"
SIDE = 256


@dataclass(frozen=True)
class RivalSettings:
    """How the rival is trained."""

    steps: int = 100
    batch: int = 4  # at least two: the net normalises over its batch
    rate: float = 1e-3
    seed: int = 0


class Rival:
    """A net that gives every pixel a class; weights start at random, as no others
    may be taken along.
    """  # noqa: D205

    def __init__(self, classes: int, settings: RivalSettings) -> None:
        import segmentation_models_pytorch as smp

        if settings.batch < 2:
            raise TrainError("DeepLabV3+ needs a batch of 2 or more.")
        self.settings = settings
        torch.manual_seed(settings.seed)
        self.net: Any = smp.DeepLabV3Plus(
            ENCODER, encoder_weights=None, in_channels=1, classes=classes
        ).to(memory_format=torch.channels_last)

    @property
    def parameters(self) -> int:
        """How many numbers are trained: all of them."""
        return sum(p.numel() for p in self.net.parameters())

    def train(self, pictures: Sequence[Picture]) -> None:
        """Learn the class of every pixel."""
        s, rng = self.settings, np.random.default_rng(self.settings.seed)
        planes = [(p.as_scan().grey(), p.classes.astype(np.int64)) for p in pictures]
        count = np.bincount(
            np.concatenate([c.ravel() for _, c in planes]),
            minlength=self.net.segmentation_head[0].out_channels,
        )
        # rare classes count more, those that are not there not at all
        weight = torch.from_numpy(np.where(count, (count + 1) ** -0.5, 0)).float()
        optimiser = torch.optim.AdamW(self.net.parameters(), lr=s.rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, s.rate, s.steps)
        self.net.train()
        for _ in range(s.steps):
            crops = [_crop(rng, *planes[rng.integers(len(planes))])
                     for _ in range(s.batch)]  # fmt: skip
            stack = torch.from_numpy(np.stack([i for i, _ in crops]))[:, None]
            images = stack.contiguous(memory_format=torch.channels_last)
            truth = torch.from_numpy(np.stack([t for _, t in crops]))
            with self._half():
                made = self.net(images)
            loss = F.cross_entropy(made.float(), truth, weight)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        self.net.eval()

    def _half(self) -> torch.autocast:
        """Use bfloat16 where the processor is made for it."""
        half = choose_precision("cpu").half
        return torch.autocast("cpu", torch.bfloat16, enabled=half)

    @torch.no_grad()
    def classes_of(self, picture: Picture) -> NDArray[np.intp]:
        """Class of each pixel of a picture."""
        grey = torch.from_numpy(picture.as_scan().grey())[None, None]
        height, width = grey.shape[-2:]
        padded = F.pad(grey, (0, -width % 32, 0, -height % 32), mode="replicate")
        with self._half():
            made = self.net(padded)
        found = made[0, :, :height, :width].argmax(0)
        return np.asarray(found.numpy())


def _crop(
    rng: np.random.Generator, image: NDArray[Any], truth: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A random square, turned and mirrored; small pictures are continued."""
    pad = [(0, max(0, SIDE - n)) for n in image.shape]
    image, truth = (np.pad(a, pad, mode="symmetric") for a in (image, truth))
    y, x = (int(rng.integers(0, n - SIDE + 1)) for n in image.shape)
    turns, flip = int(rng.integers(4)), rng.random() < 0.5
    parts = [np.rot90(a[y : y + SIDE, x : x + SIDE], turns) for a in (image, truth)]
    parts = [np.ascontiguousarray(a[:, ::-1] if flip else a) for a in parts]
    return parts[0].astype(np.float32), parts[1]
