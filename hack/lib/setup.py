"""Makes `.venv` hold exactly the locked packages and kro itself, editable.

A stamp inside the environment names what it was made from. Its first line: the lock file, the
interpreter and the place of the checkout (an environment can't be moved); when that changes the
environment is made from scratch, so that it never holds more than the lock. Its second line: the
project file; when only that changes, kro alone is installed again. The stamp is removed before
the first change and written after the last one: an interrupted run is started over by the next.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "kro-setup.stamp"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="hack/setup",
        description="Create or update .venv with the locked dependencies and kro itself.",
        epilog="KRO_PYTHON names the Python to use; by default the first 3.11 or newer on PATH.",
    )
    parser.add_argument("--recreate", action="store_true", help="start from an empty .venv")
    parser.add_argument("--quiet", action="store_true", help="say nothing when up to date")
    options = parser.parse_args()

    wanted = stamp()
    if not options.recreate and is_current(wanted):
        if not options.quiet:
            print(f".venv is up to date (Python {platform.python_version()})")
        return 0
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not options.recreate and is_current(wanted):  # made while we waited for the lock
            return 0
        install(wanted, fresh=options.recreate)
    print(f".venv is ready (Python {platform.python_version()})", file=sys.stderr)
    return 0


def stamp() -> str:
    """Return what the environment must have been made from."""
    return (
        f"{digest('requirements.lock')} {base_python()} {platform.python_version()} {VENV}\n"
        f"{digest('pyproject.toml')}\n"
    )


def digest(name: str) -> str:
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


def base_python() -> str:
    """Return the interpreter below any active environment, so that ours is not built on another."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def is_current(wanted: str) -> bool:
    return (VENV / "bin" / "python").exists() and read_stamp() == wanted


def read_stamp() -> str:
    try:
        return STAMP.read_text()
    except FileNotFoundError:
        return ""


def install(wanted: str, *, fresh: bool) -> None:
    same_packages = read_stamp().partition("\n")[0] == wanted.partition("\n")[0]
    STAMP.unlink(missing_ok=True)
    pip = (str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install")
    if fresh or not same_packages:
        create()
        say("installing the locked packages")
        run(*pip, "--quiet", "--require-hashes", "-r", str(ROOT / "requirements.lock"))
    run(*pip, "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    STAMP.write_text(wanted)


def create() -> None:
    """An empty environment stands in `.venv`.

    Raises:
        SystemExit: this Python can't make one.
    """
    if VENV.exists():
        shutil.rmtree(VENV)
    say(f"creating .venv with Python {platform.python_version()}")
    try:
        import ensurepip  # noqa: F401  Debian ships it apart from Python
    except ImportError:
        raise SystemExit(
            "this Python has no ensurepip, so it can't make a virtual environment: "
            "install it (Debian, Ubuntu: apt-get install python3-venv) and run hack/setup again"
        ) from None
    run(base_python(), "-m", "venv", str(VENV))


def run(*command: str) -> None:
    """Run to its end, its output shown.

    Raises:
        SystemExit: it failed; the command and its code are named.
    """
    code = subprocess.run(command, cwd=ROOT, check=False, stdin=subprocess.DEVNULL).returncode
    if code != 0:
        raise SystemExit(f"hack/setup: `{' '.join(command)}` ended with {code}")


def say(text: str) -> None:
    print(f"hack/setup: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
