"""Undo and redo, as deep as memory goes: steps hold only what changed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_sesami.project import Change, Record, Step
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    CarryOut = Callable[[str, str, tuple[Change, ...]], None]


class History:
    """Two stacks of steps, and groups of edits that become one step.

    Parameters
    ----------
    check
        Raises if nothing may be edited now.
    carry_out
        Called with "undo" or "redo", the name of the step and what is to be changed.

    Attributes
    ----------
    open_group
        Key and name of the group that is open, or None.
    """

    def __init__(self, check: Callable[[], None], carry_out: CarryOut) -> None:
        self.done: list[Step] = []
        self.undone: list[Step] = []
        self.open_group: tuple[int, str] | None = None
        self._check, self._carry_out = check, carry_out
        self._group: int | None = None

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self.done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return bool(self.undone)

    def undo(self) -> str | None:
        """Take the last step back and give its name; None if there is none."""
        self._ready("undo")
        step = self._back()
        if step is None:
            return None
        self._carry_out("undo", step.name, step.inverse())
        return step.name

    def redo(self) -> str | None:
        """Do the step undone last again and give its name; None if there is none."""
        self._ready("redo")
        step = self._forth()
        if step is None:
            return None
        self._carry_out("redo", step.name, step.changes)
        return step.name

    @contextmanager
    def group(self, name: str, key: int | None = None) -> Iterator[None]:
        """Make one step of all edits within; each is journaled as it happens.

        Groups of the same `key` become one step, too, unless something came between.
        """
        if self.open_group is not None:  # the outer group goes on
            yield
            return
        self.open_group = (time.time_ns() if key is None else key, name)
        try:
            yield
        finally:
            self.open_group = None

    # --- for the document

    def push(self, name: str, changes: tuple[Change, ...], group: int | None) -> None:
        """Add what was just done; within a group it joins the step before."""
        if group is not None and group == self._group and self.done:
            last = self.done.pop()
            self.done.append(Step(last.name, last.changes + changes))
        else:
            self.done.append(Step(name, changes))
        self._group = group
        self.undone.clear()

    def clear(self) -> None:
        """Forget all."""
        self.done.clear()
        self.undone.clear()
        self._group = None

    def relive(self, records: Iterable[Record]) -> None:
        """Rebuild the stacks from what a journal brought back."""
        for record in records:
            if record.kind == "do":
                self.push(record.name, record.changes, record.group)
            elif record.kind == "forget":
                self.clear()
            elif record.kind == "undo":
                if self._back() is None:  # it was done before the last save
                    step = Step(record.name, record.changes)
                    self.undone.append(Step(record.name, step.inverse()))
            elif self._forth() is None:
                self.done.append(Step(record.name, record.changes))

    def _ready(self, what: str) -> None:
        if self.open_group is not None:
            raise SessionError(
                f"Finish the group {self.open_group[1]!r} before {what}."
            )
        self._check()

    def _back(self) -> Step | None:
        self._group = None
        if not self.done:
            return None
        self.undone.append(self.done.pop())
        return self.undone[-1]

    def _forth(self) -> Step | None:
        self._group = None
        if not self.undone:
            return None
        self.done.append(self.undone.pop())
        return self.done[-1]
