"""What blocks must not be called on the event loop: here it raises there, and works elsewhere.

Source: spec "Controller runtime" P-146.
"""

from __future__ import annotations

import builtins
import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

_BLOCKING: Final = (
    (builtins, "open"),
    (io, "open"),
    (os, "open"),
    (socket, "getaddrinfo"),
    (socket, "create_connection"),
    (subprocess, "run"),
    (time, "sleep"),
)
_FOR_TRACES: Final = ("linecache.py", "tokenize.py", "traceback.py")
"""A trace reads the source it shows; it is written once a minute, for a bug."""


class BlockingCallError(AssertionError):
    """Something waited on the loop's thread."""


@contextmanager
def no_blocking_calls() -> Iterator[list[str]]:
    """Let blocking calls on this thread raise in the block; yield what was called, to look at.

    The error may end up in somebody's `except`, so look at the list too.
    """
    loop_thread = threading.get_ident()
    found: list[str] = []

    def guarded(name: str, true: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if threading.get_ident() == loop_thread:
                frame = sys._getframe(1)
                if not frame.f_code.co_filename.endswith(_FOR_TRACES):
                    where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                    found.append(f"{name} at {where}")
                    raise BlockingCallError(found[-1])
            return true(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for module, name in _BLOCKING:
            whole = f"{module.__name__}.{name}"
            patch.setattr(module, name, guarded(whole, getattr(module, name)))
        yield found
