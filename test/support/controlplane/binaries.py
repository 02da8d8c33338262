"""Finds the programs of a control plane, or gets them.

Looked for in this order: `$KUBEBUILDER_ASSETS`, the cache, a download of an official release, a
build by Go. The first two cost nothing; a download that fails falls through with one line; the
build says how far it is. What was got is kept in the cache under its version.

A build starts from a `go.mod` and `go.sum` in `modules/`: they pin the version and, by checksum,
all that goes into it. etcd has a module of its own, because beside the API server its newer
dependencies would replace those that Kubernetes was released with.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.controlplane import gobuild
from support.controlplane.download import Archive, Downloader, DownloadError, machine
from support.controlplane.errors import ControlPlaneError
from support.controlplane.folders import cache_folder, exclusive

MODULES = Path(__file__).parent / "modules"
ENVTEST_VERSION = "1.36.0"
"""Of the envtest archive, which is made for the first patch of a minor version only."""

Say = Callable[[str], None]


class MissingToolError(ControlPlaneError):
    """A program is neither here nor can it be downloaded or built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One program: what it is called, and every way to get it."""

    name: str
    module: str
    """Folder under `modules/`."""
    package: str
    """The Go package of the command."""
    requires: str
    """The Go module whose version is the program's version."""
    version_flags: tuple[str, ...] = ()
    """Linker settings that tell the program its version; `{version}` is without the `v`."""
    archives: Callable[[str], tuple[Archive, ...]] = lambda version: ()
    on_path: bool = False
    """True for a client that any recent version of will do."""

    @property
    def version(self) -> str:
        """The pinned version, without the `v`."""
        text = (MODULES / self.module / "go.mod").read_text()
        found = re.search(rf"^require {re.escape(self.requires)} v(\S+)$", text, re.MULTILINE)
        if found is None:
            raise ControlPlaneError(f"modules/{self.module}/go.mod requires no {self.requires}")
        return found.group(1)

    @property
    def home(self) -> Path:
        """The cache folder of what was built, or downloaded in exactly this version."""
        return cache_folder() / "tools" / f"{self.module}-{self.version}"


def _envtest() -> Archive:
    system, arch = machine()
    name = f"envtest-v{ENVTEST_VERSION}-{system}-{arch}.tar.gz"
    releases = "https://github.com/kubernetes-sigs/controller-tools/releases/download"
    url = f"{releases}/envtest-v{ENVTEST_VERSION}/{name}"
    return Archive(
        url=url,
        checksum_url=f"{url}.sha512",
        members={
            name: f"controller-tools/envtest/{name}"
            for name in ("etcd", "kube-apiserver", "kubectl")
        },
        home=f"envtest-{ENVTEST_VERSION}",
    )


def _kubernetes(name: str) -> Callable[[str], tuple[Archive, ...]]:
    def archives(version: str) -> tuple[Archive, ...]:
        system, arch = machine()
        url = f"https://dl.k8s.io/release/v{version}/bin/{system}/{arch}/{name}"
        exact = Archive(url=url, checksum_url=f"{url}.sha256", members={name: ""})
        if system != "linux" and name != "kubectl":  # servers are released for Linux only
            return (_envtest(),) if name == "kube-apiserver" else ()
        return (_envtest(), exact) if name == "kube-apiserver" else (exact,)

    return archives


def _kwok(version: str) -> tuple[Archive, ...]:
    system, arch = machine()
    url = (
        f"https://github.com/kubernetes-sigs/kwok/releases/download/v{version}/kwok-{system}-{arch}"
    )
    return (Archive(url=url, checksum_url=None, members={"kwok": ""}),)


def _helm(version: str) -> tuple[Archive, ...]:
    system, arch = machine()
    url = f"https://get.helm.sh/helm-v{version}-{system}-{arch}.tar.gz"
    return (
        Archive(
            url=url,
            checksum_url=f"{url}.sha256sum",
            members={"helm": f"{system}-{arch}/helm"},
        ),
    )


def _kubernetes_tool(name: str, *, on_path: bool = False) -> Tool:
    flags = "k8s.io/component-base/version"
    return Tool(
        name=name,
        module="kubernetes",
        package=f"k8s.io/kubernetes/cmd/{name}",
        requires="k8s.io/kubernetes",
        # Without them the API server takes itself for v0.0.0 and refuses some features.
        version_flags=(
            f"{flags}.gitVersion=v{{version}}",
            f"{flags}.gitMajor={{major}}",
            f"{flags}.gitMinor={{minor}}",
        ),
        archives=_kubernetes(name),
        on_path=on_path,
    )


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            name="etcd",
            module="etcd",
            package="go.etcd.io/etcd/server/v3",
            requires="go.etcd.io/etcd/server/v3",
            archives=lambda version: (_envtest(),),
        ),
        _kubernetes_tool("kube-apiserver"),
        _kubernetes_tool("kube-controller-manager"),
        _kubernetes_tool("kube-scheduler"),
        _kubernetes_tool("kubectl", on_path=True),
        Tool(
            name="kwok",
            module="kwok",
            package="sigs.k8s.io/kwok/cmd/kwok",
            requires="sigs.k8s.io/kwok",
            version_flags=("sigs.k8s.io/kwok/pkg/consts.Version=v{version}",),
            archives=_kwok,
        ),
        Tool(
            name="helm",
            module="helm",
            package="helm.sh/helm/v3/cmd/helm",
            requires="helm.sh/helm/v3",
            version_flags=("helm.sh/helm/v3/internal/version.version=v{version}",),
            archives=_helm,
        ),
    )
}


def ensure_tool(name: str, *, say: Say, downloader: Downloader | None = None) -> Path:
    """Return the path of the program, which can be run; it is downloaded or built if need be.

    Raises:
        MissingToolError: there is no way to get it on this machine; says what to install.
    """
    return obtain(TOOLS[name], say=say, downloader=downloader or Downloader())


def obtain(tool: Tool, *, say: Say, downloader: Downloader) -> Path:
    """The same for a tool that need not be in the table."""
    found = find_tool(tool)
    if found is not None:
        return found
    with exclusive(cache_folder() / "tools" / f"{tool.module}.lock"):
        found = find_tool(tool)  # made by another process while we waited
        if found is not None:
            return found
        return _download(tool, say, downloader) or _build(tool, say)


def find_tool(tool: Tool) -> Path | None:
    """Return where the program is already, or None."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    folders = [Path(assets)] if assets else []
    folders.append(tool.home)
    folders += [
        cache_folder() / "tools" / archive.home
        for archive in tool.archives(tool.version)
        if archive.home
    ]
    for folder in folders:
        if os.access(folder / tool.name, os.X_OK):
            return folder / tool.name
    if tool.on_path and (path := shutil.which(tool.name)):
        return Path(path)
    return None


def _download(tool: Tool, say: Say, downloader: Downloader) -> Path | None:
    for archive in tool.archives(tool.version):
        home = cache_folder() / "tools" / archive.home if archive.home else tool.home
        try:
            downloader.fetch(archive, into=home, say=say)
        except DownloadError as error:
            say(f"{tool.name}: {error}")
            continue
        return home / tool.name
    return None


def _build(tool: Tool, say: Say) -> Path:
    major, minor = tool.version.split(".")[:2]
    flags = [
        flag.format(version=tool.version, major=major, minor=minor) for flag in tool.version_flags
    ]
    if shutil.which("go") is None:
        raise MissingToolError(
            f"{tool.name} {tool.version} is not on this machine, could not be downloaded, and "
            f"there is no Go to build it: install Go {gobuild.GO_VERSION} or newer, or set "
            f"KUBEBUILDER_ASSETS to a folder that holds {tool.name}"
        )
    tool.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tool.home, prefix="build-") as scratch:
        built = gobuild.build(
            module=MODULES / tool.module,
            package=tool.package,
            version_flags=flags,
            into=Path(scratch),
            label=f"{tool.name} {tool.version}",
            say=say,
        )
        built.replace(tool.home / tool.name)
    return tool.home / tool.name
