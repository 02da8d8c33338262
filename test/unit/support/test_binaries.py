"""How the programs of a control plane are found, downloaded and built."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.controlplane.binaries import MODULES, TOOLS, MissingToolError, Tool, find_tool, obtain
from support.controlplane.download import Archive, Downloader, DownloadError, find_checksum
from support.controlplane.errors import ControlPlaneError
from support.controlplane.plane import free_ports

PROGRAM = b"#!/bin/sh\necho 1\n"


class Releases:
    """A server of released files, on loopback."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        files = self.files

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = files.get(self.path.lstrip("/"))
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> Iterator[Releases]:
    monkeypatch.setenv("no_proxy", "*")
    served = Releases()
    thread = threading.Thread(target=served.server.serve_forever, args=(0.01,))
    thread.start()
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing cached, no assets, and a PATH that holds nothing but what a test puts there."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "path"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    return path


def program(path: Path, text: bytes = PROGRAM) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    path.chmod(0o755)
    return path


def kwok(*archives: Archive) -> Tool:
    return dataclasses.replace(TOOLS["kwok"], archives=lambda version: archives)


def test_every_tool_has_a_pinned_version_with_checksums() -> None:
    """A build is of one version, and all that goes into it is known by checksum."""
    for tool in TOOLS.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", tool.version)
        assert (MODULES / tool.module / "go.sum").stat().st_size > 0


def test_staging_modules_are_those_of_the_kubernetes_version() -> None:
    """Kubernetes v1.x.y is built from its libraries v0.x.y, every one of them."""
    version = TOOLS["kube-apiserver"].version
    text = (MODULES / "kubernetes" / "go.mod").read_text()

    replaced = re.findall(r"^\t(\S+) => (\S+) v(\S+)$", text, re.MULTILINE)

    assert len(replaced) >= 30
    assert {v for _, _, v in replaced} == {"0." + version.removeprefix("1.")}
    assert all(old == new for old, new, _ in replaced)


def test_assets_folder_goes_before_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a person names is taken before what was got; what it lacks is looked for further."""
    tool = TOOLS["etcd"]
    cached = program(tool.home / "etcd")
    assert find_tool(tool) == cached

    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    assert find_tool(tool) == cached

    named = program(tmp_path / "assets" / "etcd")
    assert find_tool(tool) == named


def test_only_clients_are_taken_from_the_path(bare_machine: Path) -> None:
    """Any recent kubectl will do; a server must be of our version."""
    program(bare_machine / "kubectl")
    program(bare_machine / "etcd")

    assert find_tool(TOOLS["kubectl"]) == bare_machine / "kubectl"
    assert find_tool(TOOLS["etcd"]) is None


def test_download_is_verified_and_cached(releases: Releases) -> None:
    """A released program that matches its checksum is put into the cache, and asked for once."""
    releases.files["kwok"] = PROGRAM
    releases.files["kwok.sha256"] = hashlib.sha256(PROGRAM).hexdigest().encode()
    url = f"{releases.url}/kwok"
    tool = kwok(Archive(url=url, checksum_url=f"{url}.sha256", members={"kwok": ""}))

    found = obtain(tool, say=lambda text: None, downloader=Downloader())
    releases.files.clear()
    again = obtain(tool, say=lambda text: None, downloader=Downloader())

    assert found == again == tool.home / "kwok"
    assert found.read_bytes() == PROGRAM
    assert [path.name for path in tool.home.iterdir()] == ["kwok"]


def test_members_of_an_archive_are_taken_and_nothing_else(
    releases: Releases, tmp_path: Path
) -> None:
    """Paths in an archive are never followed: only named members come out, under our names."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("tools/etcd", "../escaped", "tools/extra"):
            entry = tarfile.TarInfo(name)
            entry.size = len(PROGRAM)
            tar.addfile(entry, io.BytesIO(PROGRAM))
    releases.files["all.tar.gz"] = packed.getvalue()
    digest = hashlib.sha512(packed.getvalue()).hexdigest()
    releases.files["sums"] = f"{'0' * 128}  other.tar.gz\n{digest}  all.tar.gz\n".encode()
    archive = Archive(
        url=f"{releases.url}/all.tar.gz",
        checksum_url=f"{releases.url}/sums",
        members={"etcd": "tools/etcd"},
    )

    Downloader().fetch(archive, into=tmp_path / "into", say=lambda text: None)

    assert [path.name for path in (tmp_path / "into").iterdir()] == ["etcd"]
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        pytest.param({}, "answers 404", id="not there"),
        pytest.param(
            {"kwok": PROGRAM, "kwok.sha256": b"0" * 64}, "does not match its checksum", id="forged"
        ),
        pytest.param(
            {"kwok": PROGRAM, "kwok.sha256": b"<html>"}, "no checksum for kwok", id="no sum"
        ),
    ],
)
def test_bad_download_leaves_nothing(
    releases: Releases, tmp_path: Path, files: dict[str, bytes], problem: str
) -> None:
    """A release that is missing or not what it should be is never kept."""
    releases.files.update(files)
    url = f"{releases.url}/kwok"
    archive = Archive(url=url, checksum_url=f"{url}.sha256", members={"kwok": ""})

    with pytest.raises(DownloadError, match=problem):
        Downloader().fetch(archive, into=tmp_path / "into", say=lambda text: None)

    assert list((tmp_path / "into").iterdir()) == []


def test_unreachable_host_is_asked_once() -> None:
    """Without a way out the first download fails at once, and the others do not even try."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/kwok"
    archive = Archive(url=url, checksum_url=None, members={"kwok": ""})
    downloader, told = Downloader(), list[str]()

    for _ in range(2):
        with pytest.raises(MissingToolError):
            obtain(kwok(archive), say=told.append, downloader=downloader)

    assert "refused" in told[0]
    assert told[1] == f"kwok: no download, 127.0.0.1:{port} can't be reached"


def test_machine_without_any_way_is_told_what_to_install() -> None:
    """One clear sentence: what is missing, and the two ways out."""
    with pytest.raises(MissingToolError) as raised:
        obtain(kwok(), say=lambda text: None, downloader=Downloader())

    assert "install Go 1.26 or newer" in str(raised.value)
    assert "KUBEBUILDER_ASSETS" in str(raised.value)


def test_build_is_told_the_version_and_cached(bare_machine: Path, tmp_path: Path) -> None:
    """Go gets the pinned module and the version; the result is cached under it."""
    program(
        bare_machine / "go",
        b'#!/bin/sh\necho "$@" > "$0.arguments"\n'
        b"while [ $# -gt 0 ]; do case $1 in -o) out=$2;; esac; shift; done\n"
        b"read -r line < go.mod; echo $line > $out\nread -r line < go.sum\n",
    )
    told = list[str]()

    found = obtain(kwok(), say=told.append, downloader=Downloader())

    assert found == kwok().home / "kwok"
    assert found.read_text() == "module kro.run/tools/kwok\n"
    arguments = (bare_machine / "go.arguments").read_text()
    assert f"consts.Version=v{kwok().version}" in arguments
    assert told[0].startswith(f"building kwok {kwok().version} with Go")
    assert [path.name for path in kwok().home.iterdir()] == ["kwok"]


def test_failed_build_shows_what_go_said(bare_machine: Path) -> None:
    """The reason is in the message, and nothing half-made stays in the cache."""
    program(bare_machine / "go", b"#!/bin/sh\necho 'go.mod requires go >= 9.9' >&2\nexit 1\n")

    with pytest.raises(ControlPlaneError, match=r"requires go >= 9\.9"):
        obtain(kwok(), say=lambda text: None, downloader=Downloader())

    assert list(kwok().home.iterdir()) == []


def test_checksum_of_another_file_is_not_taken() -> None:
    """In a list of sums only the line of the file itself counts."""
    with pytest.raises(DownloadError):
        find_checksum(f"{'a' * 64}  other\n", file="kwok")
