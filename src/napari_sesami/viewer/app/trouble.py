"""Shows what went wrong: advice as one sentence, bugs with a report to copy."""

from __future__ import annotations

import logging
import platform
import traceback
from importlib.metadata import PackageNotFoundError, version

from napari_sesami.viewer.app.errors import is_expected, sentence

_log = logging.getLogger(__name__)
PACKAGES = ("napari-sesami", "napari", "torch", "numpy", "psygnal")


def report_bug(error: BaseException, recent: tuple[str, ...]) -> None:
    """Log what is no advice, and offer a report of it.

    Nothing is sent anywhere: the report goes to the clipboard, and the user decides.
    """
    if not is_expected(error):
        _log.error("a mistake of ours", exc_info=error)
        offer_report(error, recent)


def offer_report(error: BaseException, recent: tuple[str, ...]) -> None:
    """Show a bug as a notification of napari with a button that copies the report."""
    from napari.utils.notifications import (
        Notification,
        NotificationSeverity,
        notification_manager,
    )

    text = report(error, recent)
    notification_manager.dispatch(
        Notification(
            f"This is a mistake in napari-sesami, not yours: {sentence(error)} Your "
            "work is safe. Please send us the report.",
            NotificationSeverity.ERROR,
            actions=(("Copy report", lambda *_: copy(text)),),
        )
    )


def report(error: BaseException, recent: tuple[str, ...] = ()) -> str:
    """Give versions, the last messages and the traceback as plain text."""
    lines = [f"Python {platform.python_version()} on {platform.platform()}"]
    for name in PACKAGES:
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lines.append(f"{name} is not installed")
    lines += ["", "Last messages:", *(f"- {text}" for text in recent), ""]
    trace = "".join(traceback.format_exception(error))
    return "\n".join(lines) + "\n" + trace


def copy(text: str) -> None:
    """Put a text on the clipboard."""
    from qtpy.QtGui import QGuiApplication

    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
