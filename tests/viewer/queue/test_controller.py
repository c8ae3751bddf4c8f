"""What to label next is ranked, asked and answered, without a window."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fakes.headless import Headless
from tests.fakes.texture import Texture

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.queue.controller import QueueController


@pytest.fixture
def headless(qapp):
    rng = np.random.default_rng(0)
    image = np.repeat([0.2, 0.5, 0.8], 40)[:, None] + 0.02 * rng.normal(size=(120, 160))
    image[84:108, 100:124] = np.indices((24, 24)).sum(0) % 2
    grey = (np.clip(image, 0, 1) * 1000).astype(np.uint16)
    made = Headless(grey, ("substrate", "oxide", "metal"))
    session = made.session
    session.retrieval.encoder = Texture()
    for i in range(3):
        stroke = np.zeros((120, 160), np.uint8)
        stroke[40 * i + 20, 20:60] = i + 1
        session.paint(stroke, plane=0)
    session.queue.ask_for(n=10)
    yield made
    made.close()


@pytest.fixture
def queue(headless):
    controller = headless.workspace.get(QueueController)
    controller.ranker.zoom = 1.0
    return controller


def ranked(headless, queue) -> None:
    queue.ranker.begin()
    headless.wait(lambda: bool(queue.entries) and not queue.ranker.running)


def test_ranking_lists_places_and_an_answer_goes_on(headless, queue):
    ranked(headless, queue)
    first = queue.entries[0]
    queue.next()
    assert queue.asked == first
    queue.change(3)
    assert first.id not in [entry.id for entry in queue.entries]
    assert len(headless.session.queue.answers) == 1


def test_verbs_raise_one_sentence(queue):
    with pytest.raises(ViewerError, match="Choose a query"):
        queue.skip()


def test_a_ranking_that_somebody_cancels_is_over(headless, queue):
    queue.ranker.begin()
    assert queue.ranker.running
    headless.workspace.jobs.cancel()
    headless.wait(lambda: not queue.ranker.running)
    assert not queue.entries or queue.ranker.rounds == 0
    ranked(headless, queue)  # and another one can begin
