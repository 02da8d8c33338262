"""Runs random tests in chunks, each in a fresh process, several at a time."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

CHUNK: Final = 2_000
"""Inputs of one process: the C++ implementation miscounts references and would crash in the end."""


def _child(test: str, seed: int, count: int, deadline: float, sender: Any) -> None:
    sender.send(importlib.import_module(test).run(seed, count, deadline))
    sender.close()
    os._exit(0)  # without the interpreter's clean-up, see CHUNK


def _isolated(test: str, seed: int, count: int, deadline: float) -> Any:
    """Return the tally of one chunk."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(test, seed, count, deadline, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise RuntimeError(f"the process with seed {seed} crashed") from None
    finally:
        process.join()


def run(test: str, *, seed: int, inputs: int, minutes: float, jobs: int) -> Any:
    """Run the module `test` until time or inputs are used up, and return the sum of its tallies."""
    deadline = time.monotonic() + minutes * 60

    def chunk(start: int) -> Any:
        if start and time.monotonic() >= deadline:
            return None
        return _isolated(test, seed + start, min(CHUNK, inputs - start), deadline)

    total: Any = None
    with ThreadPoolExecutor(jobs) as pool:
        for tally in pool.map(chunk, range(0, inputs, CHUNK)):
            if total is None:
                total = tally
            elif tally is not None:
                total.add(tally)
    return total
