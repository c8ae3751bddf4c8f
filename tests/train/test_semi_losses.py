"""Losses equal UniMatch's formulas, written here once more from the equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sesami.train.semi.losses import (
    IGNORE,
    borders,
    consistency,
    dice_loss,
    per_image,
    pseudo_labels,
    supervised_loss,
    thresholds,
    total_loss,
    unlabelled_loss,
)

TAU = 0.5


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def cross_entropy(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -np.take_along_axis(log_softmax(z), y[:, None], 1)[:, 0]


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    out = {k: rng.normal(0, 2, (3, 4, 9, 7)) for k in ("x", "w", "s1", "s2", "fp")}
    y = rng.integers(0, 4, (3, 9, 7))
    y[0, :3] = IGNORE
    out["y"] = y
    out["seen"] = rng.random((3, 9, 7)) > 0.15
    return out


def test_the_whole_loss_is_that_of_unimatch(drawn: dict[str, np.ndarray]):
    # loss_x + 0.25 s1 + 0.25 s2 + 0.5 fp, halved; each term over accepted pixels,
    # divided by all that are not ignored; the labels are those of the weak view
    known = drawn["y"] != IGNORE
    loss_x = cross_entropy(drawn["x"], np.where(known, drawn["y"], 0))[known].mean()
    p = np.exp(log_softmax(drawn["w"]))
    pseudo, sure = p.argmax(1), p.max(1)
    taken = (sure >= TAU) & drawn["seen"]

    def term(z: np.ndarray) -> float:
        return (cross_entropy(z, pseudo) * taken).sum() / drawn["seen"].sum()

    s1, s2, fp = (term(drawn[k]) for k in ("s1", "s2", "fp"))
    wanted = (loss_x + 0.25 * s1 + 0.25 * s2 + 0.5 * fp) / 2

    t = {k: torch.from_numpy(v) for k, v in drawn.items()}
    labels, found, _ = pseudo_labels(t["w"])
    accepted = (found >= thresholds(TAU)) & t["seen"]
    assert 0.2 < float(accepted.float().mean()) < 0.8, "the fixture tests both sides"
    parts = [consistency(t[k], labels, accepted, t["seen"]) for k in ("s1", "s2", "fp")]
    loss = total_loss(
        supervised_loss(t["x"], t["y"]), unlabelled_loss(parts[:2], parts[2], 0.5)
    )
    assert float(loss) == pytest.approx(wanted, abs=1e-6)
    # equation 6 with the worst set alone
    one = total_loss(
        supervised_loss(t["x"], t["y"]), unlabelled_loss(parts[:1], parts[2], 0.5)
    )
    assert float(one) == pytest.approx((loss_x + 0.5 * s1 + 0.5 * fp) / 2, abs=1e-6)
    each = per_image(t["s1"], labels, accepted, t["seen"])
    by_hand = (cross_entropy(drawn["s1"], pseudo) * taken).sum((1, 2))
    np.testing.assert_allclose(each, by_hand / drawn["seen"].sum((1, 2)), atol=1e-6)


def test_dice_is_over_the_classes_that_are_there(drawn: dict[str, np.ndarray]):
    y, seen = drawn["y"].copy(), drawn["seen"] & (drawn["y"] != IGNORE)
    y[y == 3] = 1  # one class is absent
    p = np.exp(log_softmax(drawn["x"])) * seen[:, None]
    scores = []
    for c in range(3):
        truth = (y == c) & seen
        both = 2 * (p[:, c] * truth).sum() + 1e-5
        scores.append(both / ((p[:, c] ** 2).sum() + truth.sum() + 1e-5))
    found = dice_loss(
        torch.from_numpy(drawn["x"]), torch.from_numpy(y), torch.from_numpy(seen)
    )
    assert float(found) == pytest.approx(1 - np.mean(scores), abs=1e-6)


def test_thresholds_fall_for_classes_that_are_less_sure():
    tau = thresholds(0.95, torch.tensor([0.9, 0.6, 0.05]))
    r = 0.6 / 0.9
    assert tau[0] == pytest.approx(0.95) and tau[1] == pytest.approx(0.6)
    assert 0.95 * r / (2 - r) < 0.6 and tau[2] == pytest.approx(0.6), "the floor"
    assert thresholds(0.95) == 0.95


def test_a_class_left_out_is_not_unlearnt(drawn: dict[str, np.ndarray]):
    z = torch.from_numpy(drawn["s1"]).requires_grad_()
    labels, sure, _ = pseudo_labels(torch.from_numpy(drawn["w"]))
    labels = torch.where(labels == 3, 0, labels)
    every = torch.ones_like(labels, dtype=torch.bool)
    out = torch.tensor([False, False, False, True])
    consistency(z, labels, every, every, out, dice=0.5).backward()
    assert z.grad is not None and float(z.grad[:, 3].abs().max()) == 0.0
    assert float(z.grad[:, :3].abs().max()) > 0
    assert sure.shape == labels.shape


def test_nothing_known_costs_nothing(drawn: dict[str, np.ndarray]):
    z = torch.from_numpy(drawn["x"]).requires_grad_()
    nowhere = torch.full((3, 9, 7), IGNORE)
    loss = supervised_loss(z, nowhere, dice=0.5)
    none = torch.zeros(3, 9, 7, dtype=torch.bool)
    loss = loss + consistency(z, nowhere * 0, none, none, dice=0.5)
    loss.backward()
    assert float(loss.detach()) == 0
    assert z.grad is not None and bool(torch.isfinite(z.grad).all())
    edge = torch.zeros(1, 9, 9, dtype=torch.long)
    edge[0, :, 5:] = 1
    assert borders(edge)[0, 4].tolist() == [False] * 3 + [True] * 4 + [False] * 2
