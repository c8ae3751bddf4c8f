"""From votes on tokens to labels of pixels: along image edges, with pixel evidence.

Votes are few numbers per patch (classes), features are many: so votes are upsampled,
by a guided filter with the image as guide (He, Sun and Tang, 2013), and then multiplied
with what the strokes say of single pixels (grey level and fine texture).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPSILON = 1e-3  # of the guide's variance; the image is in [0, 1]
FLOOR = 1e-4  # least variance of a feature: a stroke never saw all of its class


def upsample(
    votes: NDArray[np.float32], shape: tuple[int, int], patch: int
) -> NDArray[np.float32]:
    """Bilinear upsampling of (h, w, C) to (H, W, C), patch centres kept in place."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(votes.transpose(2, 0, 1)))[None]
    big = torch.nn.functional.interpolate(
        tensor, scale_factor=patch, mode="bilinear", align_corners=False
    )
    cropped = big[0, :, : shape[0], : shape[1]]
    return cropped.permute(1, 2, 0).contiguous().numpy()


def guided(
    guide: NDArray[np.float32], map_: NDArray[np.float32], radius: int
) -> NDArray[np.float32]:
    """Guided filter of a map (H, W, C) by a grey image (H, W): its edges stay."""
    size = 2 * radius + 1

    def mean(a: NDArray[Any]) -> NDArray[Any]:
        return ndimage.uniform_filter(a, size, mode="reflect")

    mu = mean(guide)
    variance = mean(guide * guide) - mu * mu
    out = np.empty_like(map_)
    for c in range(map_.shape[-1]):
        p = map_[..., c]
        average = mean(p)
        slope = (mean(guide * p) - mu * average) / (variance + EPSILON)
        offset = average - slope * mu
        out[..., c] = mean(slope) * guide + mean(offset)
    return out


def pixel_features(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grey level at three scales, edge strength and local spread, (H, W, 6)."""
    fine, middle, coarse = (ndimage.gaussian_filter(image, s) for s in (0.7, 1.5, 4.0))
    edge = ndimage.gaussian_gradient_magnitude(image, 1.5)
    spread = np.sqrt(
        np.maximum(
            ndimage.gaussian_filter(image * image, 3.0)
            - ndimage.gaussian_filter(image, 3.0) ** 2,
            0,
        )
    )
    return np.stack([image, fine, middle, coarse, edge, spread], -1).astype(np.float32)


@dataclass(frozen=True)
class PixelEvidence:
    """A Gaussian per class over `pixel_features`, learned from labelled pixels.

    Small, closed form and monotone in the data: it never needs a training button.
    """

    means: NDArray[np.float64]
    inverse: NDArray[np.float64]
    logdet: NDArray[np.float64]
    known: NDArray[np.bool_]

    @staticmethod
    def learn(
        features: NDArray[np.float32], strokes: NDArray[Any], n_classes: int
    ) -> PixelEvidence:
        """Fit to the stroked pixels; covariances shrink to the common one."""
        d = features.shape[-1]
        picked = strokes > 0
        x, y = features[picked].astype(np.float64), strokes[picked]
        present = [c for c in range(n_classes) if (y == c + 1).any()]
        centred = [x[y == c + 1] - x[y == c + 1].mean(0) for c in present]
        rest = np.concatenate(centred) if centred else np.zeros((1, d))
        # Within classes only: what lies between them is what tells them apart.
        pooled = rest.T @ rest / max(len(rest) - len(present), 1) + FLOOR * np.eye(d)
        means = np.zeros((n_classes, d))
        inverse = np.zeros((n_classes, d, d))
        logdet = np.zeros(n_classes)
        known = np.zeros(n_classes, bool)
        for c in range(n_classes):
            own = x[y == c + 1]
            if len(own) == 0:
                continue
            known[c] = True
            means[c] = own.mean(0)
            trust = len(own) / (len(own) + 20.0 * d)
            spread = np.cov(own.T) if len(own) > d else pooled
            covariance = trust * spread + (1 - trust) * pooled + FLOOR * np.eye(d)
            inverse[c] = np.linalg.inv(covariance)
            logdet[c] = np.linalg.slogdet(covariance)[1]
        return PixelEvidence(means, inverse, logdet, known)

    def log_likelihood(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W, C) up to a constant; classes without a stroke get −∞."""
        shape = features.shape[:-1]
        x = features.reshape(-1, features.shape[-1]).astype(np.float32)
        out = np.full((len(x), len(self.known)), -np.inf, np.float32)
        for c in np.flatnonzero(self.known):
            delta = x - self.means[c].astype(np.float32)
            distance = np.einsum(
                "nd,nd->n", delta @ self.inverse[c].astype(np.float32), delta
            )
            out[:, c] = -0.5 * (distance + self.logdet[c])
        return out.reshape(*shape, -1)


def fuse(
    votes: NDArray[np.float32], evidence: NDArray[np.float32] | None, weight: float
) -> NDArray[np.float32]:
    """Probabilities (H, W, C) ∝ votes · exp(weight · evidence)."""
    logits = np.log(np.maximum(votes, 1e-4))
    if evidence is not None and weight > 0:
        top = evidence.max(-1, keepdims=True)
        # A pixel that fits no class must not overrule the votes: bounded from below.
        logits = logits + weight * np.maximum(evidence - top, -8.0)
    logits -= logits.max(-1, keepdims=True)
    p = np.exp(logits)
    return (p / p.sum(-1, keepdims=True)).astype(np.float32)
