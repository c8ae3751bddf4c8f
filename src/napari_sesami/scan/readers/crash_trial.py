"""Try an HDF5 file in a process of its own: a crash in there is only a sentence here.

The HDF5 library reads beyond the end of its memory on some damaged files, and takes the
whole program with it. `tried` lets a small helper process open the file first and read
of every dataset what a window would, once for each file and version of the library.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from napari_sesami.common.checked import DamagedFile, read_checked
from napari_sesami.common.disk import write_json
from napari_sesami.common.home import home
from napari_sesami.scan.errors import ScanError

SECONDS = 60.0
"""Time that the helper may take; a share that is slower than that is not its fault."""
WORK, WORK_PER_BYTE = 8, 1 / (20 * 2**20)
"""Seconds of the processor, where the library may go in circles: at least, and more
for larger files, which may hold many things to look at."""
MOST_KEPT = 2000  # files that are remembered

HELPER = r"""
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2])))
except (ImportError, ValueError, OSError):
    pass
try:
    import hdf5plugin
except ImportError:
    pass
import h5py

BYTES = 64 * 2**20
left = BYTES

def look(name, item):
    global left
    for key in item.attrs:
        try:
            item.attrs[key]
        except Exception:
            pass
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
        return
    n = item.size or 0
    whole = n * item.dtype.itemsize
    if item.chunks is None and whole and item.id.get_storage_size() < whole:
        return  # the reader refuses it
    if not n or item.dtype.itemsize == 0:
        return
    try:
        if item.ndim < 2:
            if whole < left:
                left -= whole
                item[()]
            return
        plane = item.shape[-1] * item.shape[-2] * item.dtype.itemsize
        if item.chunks:
            chunk = item.dtype.itemsize
            for side in item.chunks:
                chunk *= side
            plane = max(plane, chunk)
        lead = item.shape[:-2]
        for end in (0, -1):
            if plane > left:
                return
            left -= plane
            item[tuple(0 if end == 0 else n - 1 for n in lead)]
    except Exception:
        pass

with h5py.File(sys.argv[1], "r", locking=False) as file:
    file.visititems(look)
print("done")
"""


def tried(path: Path) -> None:
    """Raise a `ScanError` if HDF5 crashes on a file; each file is tried once."""
    memory = home() / "cache" / "hdf5-tried.json"
    key = _key(path)
    known = _known(memory)
    if known.get(key) == "whole":
        return
    if key not in known:
        known[key] = _outcome(path)
        if known[key] != "slow":
            _keep(memory, known)
    if known[key] == "crashed":
        raise ScanError(
            f"{path} is damaged so that the HDF5 library crashes on it or never ends "
            "(tried in a process of its own); copy it again from the instrument."
        )


def _outcome(path: Path) -> str:
    """Run the helper: "whole" or "crashed"; errors that HDF5 reports are no crash."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    work = min(int(SECONDS), WORK + int(path.stat().st_size * WORK_PER_BYTE))
    try:
        code = subprocess.run(
            [_python(), "-P", "-c", HELPER, str(path), str(work)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ).returncode
    except subprocess.TimeoutExpired:
        return "slow" if os.name == "posix" else "crashed"
    except OSError:
        return "slow"
    # by a signal, or by Windows' codes of exceptions; 0 and 1 are Python's own
    return "whole" if code in (0, 1) else "crashed"


def _python() -> str:
    python = Path(sys.executable)
    if python.name.lower() == "pythonw.exe":
        return str(python.with_name("python.exe"))
    return str(python)


def _key(path: Path) -> str:
    """Name a file by place, size and time of change, and by the library's version."""
    import h5py

    about = path.stat()
    text = (
        f"{path.resolve()} {about.st_size} {about.st_mtime_ns} {h5py.version.version} "
        f"{h5py.version.hdf5_version} {'hdf5plugin' in sys.modules}"
    )
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=12).hexdigest()


def _known(memory: Path) -> dict[str, str]:
    try:
        return dict(read_checked(memory, dict[str, str], most=1 << 22))
    except (FileNotFoundError, DamagedFile):
        return {}


def _keep(memory: Path, known: dict[str, Any]) -> None:
    """Remember what came out; a disk that refuses only costs the next time."""
    newest = dict(list(known.items())[-MOST_KEPT:])
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_json(memory, newest)
    except OSError:
        return
