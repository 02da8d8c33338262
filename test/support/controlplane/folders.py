"""Where things are kept: binaries in the cache, running control planes in the state folder.

Nothing is ever written into the checkout. The folders follow the XDG base directory specification.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    return _xdg("XDG_CACHE_HOME", ".cache") / "kro"


def state_folder() -> Path:
    return _xdg("XDG_STATE_HOME", ".local/state") / "kro" / "control-planes"


def _xdg(variable: str, default: str) -> Path:
    # The specification wants relative values ignored.
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / default


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file for the block; the lock dies with the process that holds it.

    The file is gone afterwards. So who waited may get the lock of a file that is no longer there,
    which locks nothing: then it tries again with the one that is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_still(lock.fileno(), path):
                continue
            try:
                yield
            finally:
                path.unlink()
            return


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
