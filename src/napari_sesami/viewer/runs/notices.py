"""What is said once, in napari's own notifications, when a run ends or was cut off."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sesami.viewer.runs.words import said_begin, said_name, said_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sesami.train import Run
    from napari_sesami.viewer.app.workspace import Workspace


def was_cut_off(run: Run) -> bool:
    """Whether a run ended against its will: by a crash, or with the window."""
    if run.status.state == "crashed":
        return True
    ends = [event for event in run.events if event.get("event") == "ended"]
    orphan = bool(ends) and ends[-1].get("reason") == "orphan"
    return orphan and run.status.state == "cancelled"


def end_of(run: Run) -> str:
    """One sentence about how a run ended."""
    status = run.status
    text = status.sentence or (
        f"The run {said_state(status.state)} at step {status.step} of {status.steps}."
    )
    verdict = str(run.facts.get("verdict", ""))
    text = f"finished. {verdict}" if verdict else text
    return f"{said_name(run)}, {said_begin(run.folder)}: {text}"


def tell_end(workspace: Workspace, run: Run) -> None:
    """Say that a run has ended, in the panels and as a notification."""
    text = end_of(run)
    workspace.say(text)
    from napari.utils.notifications import show_info, show_warning

    good = run.status.state in ("finished", "cancelled")
    (show_info if good else show_warning)(text)


def offer_resume(
    workspace: Workspace, runs: Sequence[Run], resume: Callable[[Run], None]
) -> None:
    """Say which runs were cut off, with a button that goes on with the newest."""
    newest = runs[0]
    status = newest.status
    which = f"The run of {said_begin(newest.folder)} was cut off"
    if len(runs) > 1:
        which = f"{len(runs)} runs were cut off, the newest"
    text = (
        f"{which} at step {status.step} of {status.steps}. Resume goes on as if "
        "nothing had been."
    )
    ask_once(workspace, text, "Resume", partial(resume, newest))


def ask_once(
    workspace: Workspace, text: str, verb: str, answer: Callable[[], None]
) -> None:
    """Say something, in the panels and as a notification with a button."""
    from napari.utils.notifications import (
        Notification,
        NotificationSeverity,
        notification_manager,
    )

    workspace.say(text)

    def pressed() -> None:
        try:
            answer()
        except Exception as error:
            workspace.show_error(error)

    notification_manager.dispatch(
        Notification(text, NotificationSeverity.INFO, actions=((verb, pressed),))
    )
