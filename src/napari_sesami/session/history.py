"""Undo and redo, as deep as memory goes: steps hold only what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.project import Change, Record, Step

if TYPE_CHECKING:
    from collections.abc import Iterable


class History:
    """Two stacks of steps. Knows nothing of what carries the changes out."""

    def __init__(self) -> None:
        self.done: list[Step] = []
        self.undone: list[Step] = []
        self._group: int | None = None

    def push(self, name: str, changes: tuple[Change, ...], group: int | None) -> None:
        """Add what was just done; within a group it joins the step before."""
        if group is not None and group == self._group and self.done:
            last = self.done.pop()
            self.done.append(Step(last.name, last.changes + changes))
        else:
            self.done.append(Step(name, changes))
        self._group = group
        self.undone.clear()

    def undo(self) -> Step | None:
        """Move the last step over and return it."""
        self._group = None
        if not self.done:
            return None
        self.undone.append(self.done.pop())
        return self.undone[-1]

    def redo(self) -> Step | None:
        """Move the step undone last back and return it."""
        self._group = None
        if not self.undone:
            return None
        self.done.append(self.undone.pop())
        return self.done[-1]

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
                if self.undo() is None:  # it was done before the last save
                    step = Step(record.name, record.changes)
                    self.undone.append(Step(record.name, step.inverse()))
            elif self.redo() is None:
                self.done.append(Step(record.name, record.changes))
