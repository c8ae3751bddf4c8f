"""What the table compares with: features of the object, and a net from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.classify import Lot, PictureReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 64
EPOCHS = 30
BATCH = 32


def object_features(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure the object in the middle: sizes, shape and grey values.

    The object is what differs from the median by more than Otsu's threshold and lies
    nearest to the middle; an object is what classifiers of objects need to be given.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.filters import threshold_otsu
    from skimage.measure import label, regionprops

    apart = gaussian_filter(np.abs(grey - np.median(grey)), 1.5)
    mask = apart > (threshold_otsu(apart) if np.ptp(apart) > 0 else 0)
    middle = np.array(grey.shape) / 2
    regions = regionprops(label(mask), intensity_image=grey)
    values = [grey.mean(), grey.std(), *np.percentile(grey, [1, 10, 50, 90, 99])]
    values += [float(mask.mean()), float(len(regions))]
    big = [r for r in regions if r.area >= 9]
    if not big:
        return np.array([*values, *np.zeros(12)], np.float32)
    r = min(big, key=lambda r: float(np.hypot(*(np.array(r.centroid) - middle))))
    pixels = grey[r.slice][r.image]
    size = grey.size
    values += [
        r.area / size, r.eccentricity, r.solidity, r.extent,
        r.axis_major_length / grey.shape[0], r.axis_minor_length / grey.shape[0],
        r.perimeter / grey.shape[0], r.orientation, pixels.mean(), pixels.std(),
        pixels.min(), pixels.max(),
    ]  # fmt: skip
    return np.nan_to_num(np.array(values, np.float32))


def resnet_answers(
    lot: Lot,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    test: NDArray[np.int64],
    seed: int,
) -> NDArray[np.int64]:
    """Train a ResNet-18 without weights on the high pictures; give its answers."""
    import torch
    from torch.nn import functional as F
    from torchvision.models import resnet18

    reader = PictureReader()

    def pictures(some: NDArray[np.int64]) -> torch.Tensor:
        found = []
        for k in some:
            picture = lot.defects[k].high
            assert picture is not None
            view = torch.from_numpy(np.ascontiguousarray(reader.read(picture)))
            found.append(
                F.interpolate(
                    view[None, None], (SIDE, SIDE), mode="bilinear", antialias=True
                )
            )
        return torch.cat(found) - 0.5

    torch.manual_seed(seed)
    net = resnet18(num_classes=int(labels.max()) + 1)
    net.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    x, y = pictures(rows), torch.from_numpy(labels)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.05)
    steps = EPOCHS * -(-len(x) // BATCH)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    draw = torch.Generator().manual_seed(seed)
    net.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x), generator=draw)
        for some in torch.split(order, BATCH):
            view = x[some] if len(some) > 1 else x[some].repeat(2, 1, 1, 1)
            want = y[some] if len(some) > 1 else y[some].repeat(2)
            if torch.rand((), generator=draw) < 0.5:
                view = view.flip(3)
            turn = int(torch.randint(4, (), generator=draw))
            loss = F.cross_entropy(net(torch.rot90(view, turn, (2, 3))), want)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            plan.step()
    net.eval()
    with torch.no_grad():
        said = [net(part).argmax(1) for part in torch.split(pictures(test), 64)]
    answers: NDArray[np.int64] = torch.cat(said).numpy()
    return answers
