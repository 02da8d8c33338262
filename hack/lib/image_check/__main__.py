"""The command line of hack/image-check."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from image_check import checks
from image_check.build import Builder, Image
from image_check.errors import ImageError
from support.controlplane import ControlPlane, ControlPlaneError

ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    options = _parser().parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="kro-image-") as folder:
            _check(Path(folder).resolve(), options)
    except (ImageError, ControlPlaneError) as error:
        print(f"hack/image-check: {error}", file=sys.stderr)
        return 1
    return 0


def _check(folder: Path, options: argparse.Namespace) -> None:
    image = _build(folder, options.python)
    built = checks.fingerprints(image.root)
    if options.twice:
        # At the very same place, for byte code and scripts know where they stand.
        image.root.parent.rename(folder / "first")
        image = _build(folder, options.python)
        print(checks.check_same(built, checks.fingerprints(image.root)))
    source = (ROOT / "kro" / "__init__.py").read_text()
    [version] = re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    print(checks.size(image))
    print(checks.check_user(image))
    print(checks.check_packages(image, ROOT / "requirements-image.lock", version))
    print(checks.check_byte_code(image))
    print(checks.check_version(image, version))
    with _cluster(options.kubeconfig) as kubeconfig:
        print(checks.check_controller(image, kubeconfig, folder / "controller.log"))


def _build(folder: Path, python: Path) -> Image:
    scratch = folder / "build"
    scratch.mkdir()
    return Builder(ROOT, scratch, python=python, say=_say).build()


@contextmanager
def _cluster(kubeconfig: Path | None) -> Iterator[Path]:
    if kubeconfig is not None:
        yield kubeconfig
        return
    plane = ControlPlane(f"image-check-{os.getpid()}")
    plane.up(say=_say, dies_with=os.getpid())
    try:
        yield plane.kubeconfig
    finally:
        plane.down()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hack/image-check",
        description="Run the Dockerfile's own steps in a scratch folder, without a container "
        "engine, and try what comes out: the packages are the locked ones, all is compiled, "
        "kro version answers, and kro controller serves a control plane until SIGTERM.",
    )
    parser.add_argument(
        "--kubeconfig", type=Path, help="a cluster to use (default: one of its own, small)"
    )
    parser.add_argument(
        "--python",
        type=_interpreter,
        default=_interpreter(sys.executable),
        help="stands for the base image's Python (default: %(default)s)",
    )
    parser.add_argument("--twice", action="store_true", help="build twice, and compare the files")
    return parser


def _interpreter(text: str) -> Path:
    """Return the program itself: links and shims lead to other folders than the image's."""
    path = Path(text).resolve()
    if not os.access(path, os.X_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be run")
    return path


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
