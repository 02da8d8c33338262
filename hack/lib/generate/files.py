"""What every generated file has to hold."""

from __future__ import annotations

import difflib
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from generate.locks import BUILD_LOCK, IMAGE_LOCK, build_lock, image_lock
from generate.observability import wanted as observability_files
from generate.values_table import readme

ROOT: Final = Path(__file__).resolve().parents[3]
CHART: Final = ROOT / "helm"
MANIFESTS: Final = ROOT / "config" / "install"
RELEASE, NAMESPACE = "kro", "kro-system"

STATIC: Final = (
    "metadata.includeHelmChart=false",
    "metadata.includeManagedBy=false",
    "rbac.mode=aggregation",
)
"""What all static manifests set: there is no chart and no Helm for those who apply them."""
VARIANTS: Final[Mapping[str, tuple[str, ...]]] = {
    "kro-core-install-manifests": (),
    "kro-core-install-manifests-with-prometheus": (
        "metrics.service.create=true",
        "metrics.serviceMonitor.enabled=true",
    ),
    "kro-core-install-manifests-with-pprof": (
        "debug.pprof.enabled=true",
        "debug.pprof.service.enabled=true",
    ),
}
"""Source: spec "API surface and operations" §9.5."""

MARK: Final = """\
# Generated from the chart in helm/ by hack/generate; do not edit.
# kubectl create namespace {namespace}
# kubectl apply --server-side --filename=config/install/{name}
"""


def wanted_files() -> dict[Path, str]:
    """Return path → text of every generated file that needs nothing but the repository."""
    wanted = {
        ROOT / IMAGE_LOCK: image_lock(ROOT),
        ROOT / BUILD_LOCK: build_lock(ROOT),
        CHART / "README.md": readme(CHART),
        **observability_files(ROOT),
    }
    # Helm installs what stands in the chart itself, so the chart holds a copy of each CRD.
    for crd in sorted((ROOT / "config" / "crd").glob("*.yaml")):
        wanted[CHART / "crds" / crd.name] = crd.read_text()
    return wanted


def rendered_manifests(helm: Path) -> dict[Path, str]:
    """Return path → text of the static manifests, rendered by that helm.

    Raises:
        RuntimeError: helm refused; the message is what it said.
    """
    command = [str(helm), "template", RELEASE, str(CHART), f"--namespace={NAMESPACE}"]
    command.append("--include-crds")
    files = {}
    for variant, values in VARIANTS.items():
        name = f"{variant}.yaml"
        settings = [f"--set={setting}" for setting in (*STATIC, *values)]
        done = subprocess.run(
            [*command, *settings],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        files[MANIFESTS / name] = MARK.format(namespace=NAMESPACE, name=name) + done.stdout
    return files


def differences(wanted: Mapping[Path, str]) -> list[str]:
    """Return what is to be changed, as unified diffs: files that differ, lack or are too many."""
    found = []
    for path, text in wanted.items():
        present = path.read_text() if path.exists() else ""
        if present != text:
            found.append(_diff(path, present, text))
    for folder in {path.parent for path in wanted} & {CHART / "crds", MANIFESTS}:
        strangers = (path for path in sorted(folder.iterdir()) if path not in wanted)
        found += [_diff(path, path.read_text(), "") for path in strangers]
    return found


def _diff(path: Path, present: str, text: str) -> str:
    name = str(path.relative_to(ROOT))
    return "".join(_lines(difflib.unified_diff(*_sides(present, text), name, f"{name} (wanted)")))


def _sides(*texts: str) -> list[list[str]]:
    return [text.splitlines(keepends=True) for text in texts]


def _lines(lines: Iterable[str]) -> Iterable[str]:
    return (line if line.endswith("\n") else f"{line}\n" for line in lines)
