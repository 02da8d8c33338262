"""Tokens that rotate and programs that print them."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from kro.runtime.client import ConfigurationError, UnreachableError
from kro.runtime.client.credentials import ExecCredentials, ExecPlugin, TokenFile, read_token

VERSION = "client.authentication.k8s.io/v1"


async def test_a_rotated_token_file_is_noticed(tmp_path: Path) -> None:
    """Also when it is swapped as the kubelet does, by moving a symlink."""
    (tmp_path / "one").write_text("first\n")
    (tmp_path / "two").write_text("second\n")
    link = tmp_path / "token"
    link.symlink_to("one")
    credentials = TokenFile(str(link), recheck_s=0.0)
    assert await credentials.authorization() == "Bearer first"

    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(link)

    assert await credentials.authorization() == "Bearer second"


async def test_a_file_is_not_read_for_every_request(tmp_path: Path) -> None:
    """Within its time the known token is used; a refusal reads at once."""
    file = tmp_path / "token"
    file.write_text("first")
    credentials = TokenFile(str(file), recheck_s=3600.0)
    file.write_text("second")

    assert await credentials.authorization() == "Bearer first"
    assert await credentials.renew("Bearer first")
    assert await credentials.authorization() == "Bearer second"
    assert await credentials.renew("Bearer first"), "another request was faster"
    assert not await credentials.renew("Bearer second")


@pytest.mark.parametrize("fault", ["empty", "missing", "fifo", "folder", "two words", "binary"])
async def test_a_bad_token_file_keeps_the_old_token(tmp_path: Path, fault: str) -> None:
    """No fault of the file makes us nobody, and none blocks, not even a pipe without a writer."""
    file = tmp_path / "token"
    file.write_text("good")
    credentials = TokenFile(str(file), recheck_s=0.0)
    file.unlink()
    match fault:
        case "empty":
            file.write_text(" \n")
        case "fifo":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "two words":
            file.write_text("a b")
        case "binary":
            file.write_bytes(b"\xff\x00")

    async with asyncio.timeout(5):
        assert await credentials.authorization() == "Bearer good"
    with pytest.raises(ConfigurationError):
        read_token(str(file))


def plugin(tmp_path: Path, script: str) -> ExecPlugin:
    """Return a plug-in that runs a shell script and counts its runs in a file."""
    program = tmp_path / "plugin"
    program.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return ExecPlugin(
        command=str(program), arguments=("a",), environment={"EXTRA": "e"}, api_version=VERSION
    )


def runs(tmp_path: Path) -> int:
    """Return how often the plug-in ran."""
    file = tmp_path / "runs"
    return len(file.read_text().splitlines()) if file.exists() else 0


def answer(status: str) -> str:
    """Return the script line that prints credentials."""
    return f'echo \'{{"kind":"ExecCredential","apiVersion":"{VERSION}","status":{{{status}}}}}\''


async def test_a_program_is_run_once_until_its_token_expires(tmp_path: Path) -> None:
    """Requests at the same time share one run, later ones its answer."""
    credentials = ExecCredentials(
        plugin(tmp_path, answer('"token":"t","expirationTimestamp":"2999-01-01T00:00:00Z"'))
    )

    headers = await asyncio.gather(*(credentials.authorization() for _ in range(20)))

    assert set(headers) == {"Bearer t"}
    assert await credentials.authorization() == "Bearer t"
    assert runs(tmp_path) == 1


async def test_a_program_is_told_the_cluster_and_its_arguments(tmp_path: Path) -> None:
    """It gets its arguments, its environment, and no terminal."""
    script = f'[ "$1$EXTRA" = ae ] || exit 3\necho "$KUBERNETES_EXEC_INFO" > {tmp_path}/info\n'
    credentials = ExecCredentials(plugin(tmp_path, script + answer('"token":"t"')))

    assert await credentials.authorization() == "Bearer t"
    assert '"interactive":false' in (tmp_path / "info").read_text()


async def test_a_certificate_of_a_program_is_offered(tmp_path: Path) -> None:
    """Certificates come with their key and need no header."""
    status = '"clientCertificateData":"cert","clientKeyData":"key"'
    credentials = ExecCredentials(plugin(tmp_path, answer(status)))

    assert await credentials.authorization() is None
    assert credentials.certificate is not None
    assert credentials.certificate.key == b"key"
    assert "key=b" not in repr(credentials.certificate)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param("exit 1", "ended with 1", id="fails"),
        pytest.param("echo secret-garbage", "printed no ExecCredential", id="garbage"),
        pytest.param("sleep 60", "no answer within", id="hangs"),
        pytest.param("sleep 60 & wait", "no answer within", id="hangs in a child"),
        pytest.param(answer(""), "neither a token", id="nothing"),
        pytest.param(answer('"clientCertificateData":"c"'), "without its key", id="no key"),
        pytest.param(
            answer('"token":"t"').replace("/v1", "/v9"), "not ExecCredential", id="version"
        ),
        pytest.param(answer('"token":"t","expirationTimestamp":"soon"'), "no time", id="expiry"),
    ],
)
async def test_a_program_that_misbehaves_is_not_run_for_every_request(
    tmp_path: Path, script: str, words: str
) -> None:
    """It is given a time to end and a pause after a failure, and its output is never quoted."""
    credentials = ExecCredentials(plugin(tmp_path, script), timeout_s=0.3)

    async with asyncio.timeout(10):
        for _ in range(5):
            with pytest.raises(UnreachableError, match=words) as raised:
                await credentials.authorization()
            assert "secret" not in str(raised.value)

    assert runs(tmp_path) == 1


async def test_an_expired_token_is_not_asked_for_again_and_again(tmp_path: Path) -> None:
    """A program whose token has already expired is no way in, and is run once in a while."""
    status = '"token":"t","expirationTimestamp":"2001-01-01T00:00:00Z"'
    credentials = ExecCredentials(plugin(tmp_path, answer(status)))

    for _ in range(5):
        with pytest.raises(UnreachableError, match="expired"):
            await credentials.authorization()

    assert runs(tmp_path) == 1


async def test_a_missing_program_says_how_to_get_it(tmp_path: Path) -> None:
    """The hint of the kubeconfig reaches the user."""
    credentials = ExecCredentials(
        ExecPlugin(command=str(tmp_path / "none"), api_version=VERSION, install_hint="get it")
    )

    with pytest.raises(UnreachableError, match=r"none cannot be run.*get it"):
        await credentials.authorization()
