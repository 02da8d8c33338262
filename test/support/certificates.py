"""Certificates for tests, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl, which makes the certificates, is missing"
)
_CURVE: Final = ("-pkeyopt", "ec_paramgen_curve:P-256")


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder."""

    folder: Path
    name: str

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def issue(self, name: str, *, alternative: str) -> tuple[Path, Path]:
        """Return certificate and key of somebody this authority vouches for."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        request = self.folder / f"{name}.csr"
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n")
        _openssl("req", "-newkey", "ec", *_CURVE, "-nodes", "-keyout", key, "-out", request,
                "-subj", f"/CN={name}")  # fmt: skip
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate,
                "-CAkey", self.folder / f"{self.name}.key", "-CAcreateserial", "-days", "2",
                "-extfile", extensions, "-out", certificate)  # fmt: skip
        return certificate, key


def _openssl(*arguments: object) -> None:
    """Run openssl."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def authority(folder: Path, name: str) -> Authority:
    """Return a new certificate authority."""
    _openssl("req", "-x509", "-newkey", "ec", *_CURVE, "-nodes", "-days", "2",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
            "-subj", f"/CN={name}")  # fmt: skip
    return Authority(folder, name)
