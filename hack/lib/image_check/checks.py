"""What the built image has to be."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from image_check.build import Image
from image_check.errors import ImageError

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0
UNCHECKED_HASH: Final = 0b01
"""Source: PEP 552, the flags word of byte code that is never compared with its source."""

_INSTALLED: Final = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.name: d.version for d in m.distributions()}))"
)


def check_user(image: Image) -> str:
    """It names a user who is not root, by number: a cluster can tell without looking inside."""
    user = image.user.partition(":")[0]
    if not user.isdecimal() or int(user) == 0:
        raise ImageError(f"USER is {image.user!r}: it must be a number, and not 0")
    return f"runs as user {image.user}"


def check_packages(image: Image, lock: Path, version: str) -> str:
    """It holds the locked packages and kro, and nothing else."""
    installed = json.loads(_output(image, "python", "-I", "-c", _INSTALLED))
    found = {_normal(name): version for name, version in installed.items()}
    wanted = _locked(lock.read_text()) | {"kro": version}
    if found != wanted:
        lacks = sorted(wanted.items() - found.items())
        more = sorted(found.items() - wanted.items())
        raise ImageError(f"the image lacks {lacks} and has {more} beside the lock")
    return f"{len(found) - 1} locked packages and kro {version}, nothing else"


def check_byte_code(image: Image) -> str:
    """Every module has byte code that goes by no time stamp."""
    modules = sorted(image.root.rglob("site-packages/**/*.py"))
    if not modules:
        raise ImageError("the image holds no module")
    for module in modules:
        compiled = list(module.parent.glob(f"__pycache__/{module.stem}.cpython-*.pyc"))
        if not compiled:
            raise ImageError(f"{module} is not compiled")
        if struct.unpack("<I", compiled[0].read_bytes()[4:8])[0] != UNCHECKED_HASH:
            raise ImageError(f"{compiled[0]} goes by a time stamp")
    return f"{len(modules)} modules, all compiled"


def check_version(image: Image, version: str) -> str:
    """`kro version` says the version of the source."""
    said = _output(image, image.entrypoint[0], "version").strip()
    if not said.startswith(f"kro {version} "):
        raise ImageError(f"kro version says {said!r}, not kro {version}")
    return said


def check_controller(image: Image, kubeconfig: Path, log: Path) -> str:
    """The entrypoint serves with uvloop until SIGTERM, ends with 0, and writes no file."""
    before = fingerprints(image.root)
    health, metrics = _free_port(), _free_port()
    command = [
        *_found(image, image.entrypoint),
        f"--kubeconfig={kubeconfig}",
        f"--health-probe-bind-address=127.0.0.1:{health}",
        f"--metrics-bind-address=127.0.0.1:{metrics}",
    ]
    started = time.monotonic()
    with log.open("wb") as lines:
        process = subprocess.Popen(
            command,
            cwd=image.root,
            env=image.environment,
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
        )
    try:
        _wait_ready(process, health, log)
        ready_s = time.monotonic() - started
        if sys.platform == "linux":
            loaded = Path(f"/proc/{process.pid}/maps").read_text()
            if "/uvloop/" not in loaded:
                raise ImageError("the controller does not run on uvloop")
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise ImageError(f"SIGTERM did not end it within {STOP_TIMEOUT_S} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code != 0:
        raise ImageError(f"it ended with {code} after SIGTERM:\n{_tail(log)}")
    if changed := _changed(before, fingerprints(image.root)):
        raise ImageError(f"it wrote to its own file system: {', '.join(changed[:5])}")
    return f"ready after {ready_s:.1f} s, on uvloop; SIGTERM ended it with 0; nothing was written"


def check_same(first: Mapping[str, str], second: Mapping[str, str]) -> str:
    """Two builds are the same, byte for byte."""
    if differing := _changed(first, second):
        raise ImageError(f"two builds differ: {', '.join(differing[:10])}")
    return f"built twice: the same {len(first)} files"


def size(image: Image) -> str:
    """Return what the image adds to its base."""
    total = sum(p.stat().st_size for p in image.root.rglob("*") if not p.is_symlink())
    return f"{total / 1024**2:.1f} MiB on top of the base image"


def fingerprints(root: Path) -> dict[str, str]:
    """Return path → what stands there: a digest, or where a link leads."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted({name for name, _ in before.items() ^ after.items()})


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        if process.poll() is not None:
            raise ImageError(f"it ended with {process.returncode}:\n{_tail(log)}")
        try:
            with opener.open(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise ImageError(f"not ready in {START_TIMEOUT_S} s:\n{_tail(log)}") from None
        time.sleep(0.05)


def _found(image: Image, command: list[str]) -> list[str]:
    """Return the command with its program as the image's PATH has it.

    Raises:
        ImageError: none, or one that is not of the image.
    """
    for folder in image.environment["PATH"].split(os.pathsep):
        if os.access(program := Path(folder) / command[0], os.X_OK):
            if not program.is_relative_to(image.root):
                raise ImageError(f"{command[0]} is found at {program}, outside the image")
            return [str(program), *command[1:]]
    raise ImageError(f"the image's PATH has no {command[0]}")


def _output(image: Image, *command: str) -> str:
    done = subprocess.run(
        _found(image, list(command)),
        cwd=image.root,
        env=image.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ImageError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _locked(text: str) -> dict[str, str]:
    """Return package → version of a lock; packages of other platforms are left out."""
    entries = re.findall(r"^([\w.-]+)==(\S+)(?: ; (.*?))? \\$", text, re.MULTILINE)
    if any(marker for _, _, marker in entries):
        raise ImageError("the image's lock has packages for some platforms only")
    return {_normal(name): version for name, version, _ in entries}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _tail(log: Path, count: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
