"""A project's prompts, repeated without a window, give the same labels."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from tests.fakes.grey_model import GreyModel

from napari_sesami.cli import main
from napari_sesami.cli.replay import replay
from napari_sesami.models import build_tiny_sam
from napari_sesami.prompt import between, propagate
from napari_sesami.scan import Scan
from napari_sesami.session import Draft, Filled, PromptStep, Session, snapped


def block(shape=(96, 128)):
    image = np.zeros(shape, np.uint8)
    image[16:40, 16:56] = 120
    image[56:64, :] = 220
    return image


def commit(session, draft, class_, snap=0, **options):
    id_ = None
    for plane in draft.planes:
        mask = draft.mask(plane)
        if plane in draft.heads:
            mask = snapped(mask, session.scan, snap)
        stored = draft.stored(plane, snap)
        id_ = session.commit(
            mask, class_, plane, object_id=id_, prompts=stored, **options
        ).id
    return id_


@pytest.fixture
def worked():
    """A session with two objects, hand work, and a class that was removed."""
    session = Session(Scan.from_array(block()), model=GreyModel(tile=128))
    session.classes.add("gone")
    session.classes.add("void")
    session.classes.add("layer")
    session.classes.remove("gone")
    for asks, class_, snap in (
        (
            [PromptStep("point", (28.0, 36.0)), PromptStep("point", (60.0, 20.0), 0)],
            "void",
            0,
        ),
        ([PromptStep("stroke", np.array([(60.0, 9.0), (60.0, 99.0)]))], "layer", 2),
    ):
        draft = Draft()
        for ask in asks:
            draft.add(0, ask).solve(session.prompts.predictor, session.scan, 0)
        commit(session, draft, class_, snap)
    hand = np.array(session.document.labels.plane())
    hand[80:90, 80:90] = 2
    session.document.labels.write(hand)
    return session


def test_the_same_model_gives_the_same_labels(worked):
    done = replay(worked)
    assert (done.differing, done.objects) == (0, 2)
    np.testing.assert_array_equal(done.session.labels, worked.labels)
    assert [c.name for c in done.session.classes] == ["void", "layer"]


def test_another_model_is_asked_the_same(worked):
    done = replay(worked, build_tiny_sam())
    assert done.session.prompts.model.name.startswith("tiny-sam")
    assert (np.asarray(done.session.labels)[80:90, 80:90] > 0).all()  # painted by hand


def test_followed_and_filled_slices_are_repeated(tmp_path):
    volume = np.stack([np.roll(block(), z, axis=1) for z in range(7)])
    session = Session(Scan.from_array(volume), model=GreyModel(tile=128))
    session.classes.add("void")
    draft = Draft()
    draft.add(1, PromptStep("point", (28.0, 36.0))).solve(
        session.prompts.predictor, session.scan, 1
    )
    steps = propagate(session.prompts.predictor, session.scan, draft.mask(1), 3)
    draft.fill(
        {
            s.plane: Filled(
                s.mask,
                s.confidence,
                {"followed": s.plane - 1, "prompts": int(s.plane == 2)},
            )
            for s in steps
        }
    )
    # a slice is corrected after the next one had followed it
    draft.add(2, PromptStep("point", (60.0, 20.0))).solve(
        session.prompts.predictor, session.scan, 2
    )
    draft.add(6, PromptStep("point", (28.0, 36.0))).solve(
        session.prompts.predictor, session.scan, 6
    )
    made = [
        Filled(m, m.score, {"between": [1, 6], "prompts": [1, 1]})
        for m in between(draft.mask(1), draft.mask(6))
    ]
    draft.fill({f.mask.plane: f for f in made if f.mask.plane in (4, 5)})
    commit(session, draft, "void")
    assert sorted(session.objects[1].parts) == [1, 2, 3, 4, 5, 6]
    done = replay(session)
    assert done.differing == 0
    assert np.asarray(done.session.labels)[4].any()


def test_the_command_writes_labels_of_a_saved_project(tmp_path, capsys):
    path = tmp_path / "wafer.tif"
    tifffile.imwrite(path, block())
    home = tmp_path / "wafer.sesami"
    with Session(path, home) as session:
        session.classes.add("void")
        session.commit(np.eye(96, 128, dtype=bool), "void")
        session.save()
        labels = np.array(session.labels)
    assert main(["replay", str(home), "-o", str(tmp_path / "out")]) == 0
    assert "the same" in capsys.readouterr().out
    (written,) = (tmp_path / "out").glob("*.ome.tif")
    np.testing.assert_array_equal(tifffile.imread(written), labels)
