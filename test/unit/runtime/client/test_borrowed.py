"""The legacy `auth-provider` entries, whose tokens kubernetes_asyncio looks after."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kro.runtime.client import ClusterConfig, UnreachableError, load_config


def token(expires: int) -> str:
    """Return an unsigned ID token with an expiry."""
    parts: tuple[dict[str, object], ...] = ({"alg": "none"}, {"exp": expires}, {})
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts
    )


def config(tmp_path: Path, id_token: str) -> ClusterConfig:
    """Return a cluster whose user is an OIDC entry without a refresh token."""
    provider = {"name": "oidc", "config": {"id-token": id_token}}
    path = tmp_path / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
                "clusters": [{"name": "c", "cluster": {"server": "https://api:6443"}}],
                "users": [{"name": "c", "user": {"auth-provider": provider}}],
            }
        )
    )
    return load_config(str(path), environment={})


async def test_a_valid_id_token_is_sent(tmp_path: Path) -> None:
    """A token that has not expired needs no identity provider."""
    id_token = token(4_000_000_000)

    credentials = config(tmp_path, id_token).credentials()

    assert await credentials.authorization() == f"Bearer {id_token}"
    assert not await credentials.renew(f"Bearer {id_token}")


async def test_an_expired_token_that_cannot_be_refreshed_is_no_identity(tmp_path: Path) -> None:
    """The error is one of the client's and quotes nothing."""
    id_token = token(1)

    with pytest.raises(UnreachableError, match="auth-provider") as raised:
        await config(tmp_path, id_token).credentials().authorization()

    assert id_token not in f"{raised.value} {raised.value.__cause__}"


def test_reading_other_entries_does_not_import_the_library(tmp_path: Path) -> None:
    """Its 55 MiB are paid by those alone who need it."""
    program = (
        "import sys; from kro.runtime.client import load_config;"
        f"load_config({str(tmp_path / 'plain')!r}, environment={{}});"
        "sys.exit('kubernetes_asyncio' in sys.modules)"
    )
    config(tmp_path, "a.b.c")
    text = (tmp_path / "config").read_text()
    (tmp_path / "plain").write_text(text.replace("auth-provider", "x"))

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
