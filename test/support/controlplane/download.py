"""Downloads official releases: verified, whole or not at all, and quick to give up.

On a machine without a way out every download fails; what matters then is that it fails at once.
So the wait for an answer is short, and a host that could not be reached is not asked again.
"""

from __future__ import annotations

import hashlib
import http.client
import platform
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ANSWER_WITHIN_S = 4.0
"""For the connection, and for every following read: a stalled download is a failed one."""
PROGRESS_EVERY_S = 10.0


class DownloadError(Exception):
    """The release could not be had from there; another way may still work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A released file: a tar archive or, where the member's path is empty, the program itself."""

    url: str
    checksum_url: str | None
    """Of a SHA-256 or SHA-512 sum beside it; None where the release has none."""
    members: Mapping[str, str]
    """Program -> its path in the archive."""
    home: str = ""
    """Cache folder, where its version is not the program's own."""


def machine() -> tuple[str, str]:
    """Return the operating system and the architecture in Go's words."""
    arch = platform.machine().lower()
    return sys.platform, {"x86_64": "amd64", "aarch64": "arm64"}.get(arch, arch)


class Downloader:
    """Fetches archives; remembers which hosts can't be reached."""

    def __init__(self) -> None:
        self._unreachable: set[str] = set()

    def fetch(self, archive: Archive, *, into: Path, say: Callable[[str], None]) -> None:
        """Every member of the archive stands in `into`, verified and executable.

        Raises:
            DownloadError: not reached, not there, or not what its checksum says; `into` is as
                it was.
        """
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into, prefix="download-") as scratch:
            file = Path(scratch) / "archive"
            expected = self._checksum(archive)
            self._save(archive.url, file, say)
            if expected is not None:
                _verify(file, expected, archive.url)
            for name, member in archive.members.items():
                program = Path(scratch) / f"program-{name}"
                if member:
                    _extract(file, member, program)
                else:
                    file.replace(program)
                program.chmod(0o755)
                program.replace(into / name)

    def _checksum(self, archive: Archive) -> str | None:
        if archive.checksum_url is None:
            return None
        with self._open(archive.checksum_url) as response:
            text = response.read(1 << 20).decode("ascii", "replace")
        return find_checksum(text, file=archive.url.rsplit("/", 1)[-1])

    def _save(self, url: str, target: Path, say: Callable[[str], None]) -> None:
        name = url.rsplit("/", 1)[-1]
        with self._open(url) as response, target.open("wb") as out:
            total = int(response.headers.get("Content-Length") or 0)
            say(f"downloading {name} ({total / 1e6:.0f} MB)")
            done, told = 0, time.monotonic()
            try:
                while chunk := response.read(1 << 18):
                    out.write(chunk)
                    done += len(chunk)
                    if time.monotonic() - told > PROGRESS_EVERY_S:
                        told = time.monotonic()
                        say(f"  {name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
            except (OSError, http.client.HTTPException) as error:
                raise DownloadError(f"the download of {name} broke off: {error}") from error
            if total and done != total:
                raise DownloadError(f"the download of {name} broke off at {done} of {total} bytes")

    def _open(self, url: str) -> http.client.HTTPResponse:
        host = urlsplit(url).netloc
        if host in self._unreachable:
            raise DownloadError(f"no download, {host} can't be reached")
        try:
            response = urllib.request.urlopen(url, timeout=ANSWER_WITHIN_S)
        except urllib.error.HTTPError as error:
            error.close()
            raise DownloadError(f"no download, {url} answers {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            self._unreachable.add(host)
            reason = getattr(error, "reason", error)
            raise DownloadError(f"no download, {host} can't be reached ({reason})") from error
        assert isinstance(response, http.client.HTTPResponse)
        return response


def find_checksum(text: str, *, file: str) -> str:
    """Return the file's sum from a checksum file: a lone sum, or lines of sum and file name.

    Raises:
        DownloadError: the text holds no sum for that file.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for words in lines:
        named = words[-1].lstrip("*").rsplit("/", 1)[-1] if len(words) > 1 else file
        if named == file and len(words[0]) in (64, 128):
            return words[0].lower()
    raise DownloadError(f"no checksum for {file} beside it")


def _verify(file: Path, expected: str, url: str) -> None:
    with file.open("rb") as stream:
        actual = hashlib.file_digest(stream, "sha256" if len(expected) == 64 else "sha512")
    if actual.hexdigest() != expected:
        raise DownloadError(f"{url} does not match its checksum and was thrown away")


def _extract(archive: Path, member: str, target: Path) -> None:
    """Copy one member out. Nothing else of the archive is unpacked, and no path of it is used."""
    try:
        with tarfile.open(archive) as tar, target.open("wb") as out:
            source = tar.extractfile(member)
            if source is None:
                raise DownloadError(f"{member} in the archive is no file")
            shutil.copyfileobj(source, out)
    except (KeyError, tarfile.TarError) as error:
        raise DownloadError(f"the archive does not hold {member}") from error
