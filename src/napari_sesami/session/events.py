"""What a session tells its listeners."""

from __future__ import annotations

from psygnal import Signal, SignalGroup


class SessionEvents(SignalGroup):
    """What a session tells: connect to ``session.events.changed`` and so on."""

    changed = Signal(int, tuple, str)
    """Pixels changed: plane, box (y0, x0, y1, x1), "labels", "strokes" or "objects"."""
    classes = Signal()
    """The class table changed."""
    objects = Signal(tuple)
    """Committed objects came, changed or went: their ids."""
    queries = Signal()
    """The queue of queries, or the answers to them, changed."""
    recipe = Signal()
    """What is measured changed."""
    history = Signal()
    """What can be undone or redone changed."""
    scan = Signal(object)
    """The scan got another pixel size: the new `Scan`."""
    saved = Signal()
    """All is on disk; may come from the autosave thread."""
    trouble = Signal(str)
    """The disk refused something: one sentence. Nothing is lost in memory."""
