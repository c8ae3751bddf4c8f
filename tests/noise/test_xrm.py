"""What X-ray effects must do to an image, measured."""

from __future__ import annotations

import math

import pytest
import torch

from napari_sesami.noise import (
    BeamHardening,
    CountingNoise,
    NoiseError,
    Rings,
    SourceDrift,
    Tomograph,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(grey: float = 0.5, side: int = 128, batch: int = 1) -> torch.Tensor:
    return torch.full((batch, 1, side, side), grey)


def discs(side: int = 160, pitch: int = 50, radius: float = 12) -> torch.Tensor:
    at = torch.arange(side, dtype=torch.float32)
    y, x = at[:, None], at[None, :]
    image = torch.full((side, side), 0.2)
    for cy in range(30, side, pitch):
        for cx in range(30, side, pitch):
            image[torch.hypot(y - cy, x - cx) < radius] = 0.85
    return image[None, None]


EFFECTS = [
    Rings(),
    Rings(axis="y", offset=7.0),
    BeamHardening(),
    CountingNoise(),
    SourceDrift(),
    Tomograph(projections=40),
]


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda e: type(e).__name__)
def test_same_seed_same_image_other_seed_other_image(effect):
    image = discs()
    one, again = effect(image, generator(1)), effect(image, generator(1))
    assert torch.equal(one.image, again.image)
    assert one.displacement is None
    assert one.ignore is None
    other = effect(image, generator(2)).image
    has_chance = not isinstance(effect, BeamHardening)
    assert torch.equal(one.image, other) != has_chance


def spread_along_circles(image: torch.Tensor, centre: tuple[float, float]):
    """Variance within circles about a centre, and of their means."""
    at = torch.arange(image.shape[-1], dtype=torch.float32)
    rho = torch.hypot(at[:, None] - centre[0], at[None, :] - centre[1])
    ring = rho.round().long()
    within, means = [], []
    for radius in range(10, 50):
        values = image[0, 0][ring == radius]
        within.append(values.var())
        means.append(values.mean())
    return torch.stack(within).mean().item(), torch.stack(means).var().item()


def test_rings_are_concentric_about_the_given_axis_and_nowhere_else():
    effect = Rings(partial=0.0, density=0.1, centre=(0.4, 0.6))
    image = effect(flat(), generator()).image
    own = spread_along_circles(image, (0.4 * 127, 0.6 * 127))
    elsewhere = spread_along_circles(image, (0.6 * 127, 0.4 * 127))
    assert own[1] > 4 * own[0]
    assert elsewhere[1] < elsewhere[0]


@pytest.mark.parametrize(("axis", "along"), [("y", 2), ("x", 3)])
def test_rings_are_straight_lines_in_cuts_along_the_axis(axis, along):
    image = Rings(axis=axis, centre=(0.3, 0.7))(flat(), generator()).image
    assert image.std(along).max() < 1e-5
    assert image.std(5 - along).min() > 1e-3


def test_lines_are_mirror_images_about_the_axis():
    image = Rings(axis="y", centre=(0.5, 0.5))(flat(side=129), generator()).image
    assert torch.allclose(image, image.flip(3), atol=1e-5)


def test_partial_rings_differ_from_side_to_side():
    whole = Rings(strength=0, partial=0.0, density=0.1)(flat(), generator()).image
    arcs = Rings(strength=0, partial=1.0, density=0.1)(flat(), generator()).image
    assert (
        spread_along_circles(arcs, (63.5, 63.5))[0]
        > 3 * (spread_along_circles(whole, (63.5, 63.5))[0])
    )


def test_hardening_cups_a_flat_slice_and_leaves_the_rim():
    image = BeamHardening(cupping=0.2, bands=0.0)(flat(), generator()).image[0, 0]
    assert image[64, 64].item() == pytest.approx(0.4, abs=1e-3)
    assert image[0, 0].item() == pytest.approx(0.5, abs=1e-3)


def test_hardening_darkens_between_metal_parts_more_than_beside_them():
    image = discs()
    change = BeamHardening(cupping=0.0, bands=0.1)(image, generator()).image - image
    between, diagonal = change[0, 0, 80, 105], change[0, 0, 105, 105]
    assert between < -0.01
    assert between < diagonal - 0.005


@pytest.mark.parametrize(("photons", "mean"), [(5000.0, 0.3), (20000.0, 0.6)])
def test_counting_noise_has_the_variance_that_beer_and_lambert_give(photons, mean):
    effect = CountingNoise(photons, 1000, 4.0)
    noised = effect(flat(mean, 256), generator())
    expected = (
        math.pi
        / math.sqrt(12 * 1000)
        * 256
        / 4
        * math.sqrt(math.exp(4 * mean) / photons)
    )
    assert noised.image.std().item() == pytest.approx(expected, rel=0.05)
    assert noised.params["sigma"][0] == pytest.approx(expected, rel=1e-3)


def test_drift_waves_over_the_slices_and_batches_join_into_one_volume():
    drift = SourceDrift(wave=0.1, period=16, fade=0.0, tilt=0.0)
    whole = drift(flat(batch=32), generator()).image
    halves = [
        SourceDrift(0.1, 16, 0.0, 0.0, first=first, total=32)(
            flat(batch=16), generator()
        ).image
        for first in (0, 16)
    ]
    assert torch.equal(whole, torch.cat(halves))
    means = whole.mean((1, 2, 3))
    assert means.max() - means.min() == pytest.approx(0.1, rel=0.05)


def test_tomograph_gives_back_the_slice_when_nothing_disturbs():
    image = discs()
    ideal = Tomograph(1e9, 300, hardening=0.0, rings=0.0)
    error = (ideal(image, generator()).image - image).abs()
    assert error[..., 10:-10, 10:-10].median() < 0.02


def test_tomograph_cups_through_hardening_and_grows_noisier_with_fewer_photons():
    at = torch.arange(129) - 64.0
    disc = (torch.hypot(at[:, None], at[None, :]) < 50).float()[None, None] * 0.8
    hard = Tomograph(1e9, 120, 6.0, hardening=1.0, rings=0.0)(disc, generator()).image
    assert hard[0, 0, 64, 64] < hard[0, 0, 64, 64 + 44] - 0.03
    noise = [
        Tomograph(photons, 120, hardening=0.0, rings=0.0)(disc, generator()).image
        for photons in (1e3, 1e5)
    ]
    inside = [image[0, 0, 44:84, 44:84].std().item() for image in noise]
    assert inside[0] > 4 * inside[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rings(axis="z"),
        lambda: Rings(density=2),
        lambda: BeamHardening(cupping=1.5),
        lambda: CountingNoise(photons=0),
        lambda: SourceDrift(period=0),
        lambda: Tomograph(projections=0),
    ],
)
def test_numbers_without_a_meaning_are_refused(make):
    with pytest.raises(NoiseError):
        make()


def test_effects_work_on_odd_and_tiny_slices():
    for shape in ((1, 1, 7, 5), (2, 1, 33, 64), (1, 1, 1, 40)):
        image = torch.rand(shape, generator=generator())
        for effect in EFFECTS[:5]:
            assert effect(image, generator()).image.shape == shape
