"""Download of weights: only when asked for, resumable, checked."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from napari_sesami.common.cancel import Cancelled
from napari_sesami.common.checked import DamagedFile, read_checked
from napari_sesami.common.disk import write_json
from napari_sesami.models.types import ModelError
from napari_sesami.models.weights import BLOCK, sha256

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from pathlib import Path

    from napari_sesami.common.cancel import IsCancelled, Progress

TIMEOUT = 30  # seconds without a byte


def download(
    url: str,
    target: Path,
    checksum: str | None = None,
    progress: Progress | None = None,
    stop: IsCancelled | None = None,
) -> Path:
    """Fetch a file to `target`; a part left by an earlier try is continued.

    Parameters
    ----------
    url
        Address, http or https.
    target
        Written only when everything has arrived and the checksum is right.
    checksum
        SHA-256, or None if it is not known.
    progress
        Called with bytes done and bytes in all (0 if unknown).
    stop
        Asked for every block; the part is kept for the next try.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    facts = target.with_name(target.name + ".part.json")
    try:
        _fetch(url, part, facts, progress, stop)
    except urllib.error.HTTPError as error:
        raise ModelError(
            f"{url} cannot be fetched: the server answers {error.code} {error.reason}."
        ) from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise ModelError(
            f"{url} cannot be reached ({reason}). Without a network, fetch the file on "
            "another computer and import it: sesami models import FILE."
        ) from error
    found = sha256(part, stop=stop)
    if checksum is not None and found != checksum.lower():
        part.unlink()
        facts.unlink(missing_ok=True)
        raise ModelError(
            f"What came from {url} has the checksum {found[:12]}…, {checksum[:12]}… is "
            "right; it was damaged or exchanged on the way and has been deleted."
        )
    part.replace(target)
    facts.unlink(missing_ok=True)
    return target


def _fetch(
    url: str,
    part: Path,
    facts: Path,
    progress: Progress | None,
    stop: IsCancelled | None,
) -> None:
    """Add what is missing to the part."""
    done, mark = _left_over(url, part, facts)
    headers = {"User-Agent": "napari-sesami"}
    if done:
        headers["Range"] = f"bytes={done}-"
        headers["If-Range"] = mark  # a file that has changed comes whole
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        if done and answer.status != 206:
            done = 0
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        write_json(facts, {"url": url, "mark": mark})
        length = int(answer.headers.get("Content-Length") or 0)
        total = done + length if length else 0
        with part.open("ab" if done else "wb") as file:
            _copy(answer, file, done, total, progress, stop)
    size = part.stat().st_size
    if total and size != total:
        raise ModelError(
            f"The connection to {url} ended after {size} of {total} bytes; "
            "start the download again, it goes on from there."
        )


def _left_over(url: str, part: Path, facts: Path) -> tuple[int, str]:
    """Bytes of an earlier try and the mark of the file they belong to."""
    if not (part.is_file() and facts.is_file()):
        return 0, ""
    try:
        told = read_checked(facts, dict[str, str], most=1 << 16)
    except (OSError, DamagedFile):
        return 0, ""
    if told.get("url") != url or not told.get("mark"):
        return 0, ""
    return part.stat().st_size, str(told["mark"])


def _copy(  # type: ignore[no-untyped-def]
    answer: HTTPResponse,
    file,
    done: int,
    total: int,
    progress: Progress | None,
    stop: IsCancelled | None,
) -> None:
    while True:
        if stop is not None and stop():
            raise Cancelled("Stopped as asked; the next download goes on from here.")
        block = answer.read(min(BLOCK, 1 << 16))
        if not block:
            return
        file.write(block)
        done += len(block)
        if progress is not None:
            progress(done, total)
