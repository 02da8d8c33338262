"""TLS: who is believed, who we are, and what happens when the files change."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from kro.refs import GVR
from kro.runtime.client import (
    Client,
    ClusterConfig,
    ConfigurationError,
    Limits,
    Transport,
    UnreachableError,
)
from kro.runtime.client.config import Pem, TlsSettings
from kro.runtime.client.credentials import ClientCertificate
from kro.runtime.client.pool import Pool
from kro.runtime.client.tls import TlsSource
from support.certificates import authority, needs_openssl
from unit.runtime.client.conftest import RecordingObserver

THINGS = GVR("example.com", "v1", "things")

pytestmark = needs_openssl


@asynccontextmanager
async def serving(
    certificate: tuple[Path, Path], *, clients: Path | None = None
) -> AsyncIterator[int]:
    """Serve the name of the client over TLS; yield the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the authority is a plain one
        context.load_verify_locations(clients)

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert")
        return web.json_response({"peer": str(peer["subject"]) if peer else ""})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(port: int, tls: TlsSettings) -> AsyncIterator[Client]:
    """Lend a client of the server at `port`."""
    config = ClusterConfig(server=f"https://127.0.0.1:{port}", tls=tls)
    client = Client(
        Transport(
            config, user_agent="t", limits=Limits(connect_s=5), sleep=lambda s: asyncio.sleep(0)
        )
    )
    try:
        yield client
    finally:
        await client.aclose()


async def test_a_server_is_believed_by_its_authority(tmp_path: Path) -> None:
    """The right CA is enough; another one, or none, is a refusal that says why."""
    ours, other = authority(tmp_path, "ours"), authority(tmp_path, "other")
    certificate = ours.issue("server", alternative="IP:127.0.0.1")
    async with serving(certificate) as port:
        for pem in (Pem(path=str(ours.certificate)), Pem(data=ours.certificate.read_bytes())):
            async with connected(port, TlsSettings(authority=pem)) as client:
                assert await client.read("/x") == b'{"peer": ""}'
        for wrong in (Pem(path=str(other.certificate)), Pem()):
            async with connected(port, TlsSettings(authority=wrong)) as client:
                with pytest.raises(UnreachableError, match=r"TLS .* failed: .*certificate"):
                    await client.read("/x")


async def test_the_name_that_is_verified_can_be_another(tmp_path: Path) -> None:
    """A server behind a tunnel is verified by the name in the kubeconfig."""
    ours = authority(tmp_path, "ours")
    pem = Pem(path=str(ours.certificate))
    async with serving(ours.issue("server", alternative="DNS:api.example.com")) as port:
        async with connected(
            port, TlsSettings(authority=pem, server_name="api.example.com")
        ) as client:
            assert await client.read("/x")
        async with connected(port, TlsSettings(authority=pem)) as client:
            with pytest.raises(UnreachableError, match="TLS"):
                await client.read("/x")


async def test_an_unverified_server_is_warned_about(tmp_path: Path) -> None:
    """Verification can be given up, loudly."""
    ours = authority(tmp_path, "ours")
    observer = RecordingObserver()
    async with serving(ours.issue("server", alternative="DNS:elsewhere")) as port:
        config = ClusterConfig(server=f"https://127.0.0.1:{port}", tls=TlsSettings(insecure=True))
        client = Client(Transport(config, user_agent="t", observer=observer))
        assert await client.read("/x")
        await client.aclose()

    assert "NOT verified" in observer.warnings[0]


async def test_we_show_our_certificate(tmp_path: Path) -> None:
    """A client certificate is shown, from data or files; a wrong key is found before connecting."""
    ours = authority(tmp_path, "ours")
    mine, key = ours.issue("me", alternative="DNS:me")
    _, foreign = ours.issue("you", alternative="DNS:you")
    server = ours.issue("server", alternative="IP:127.0.0.1")
    pem = Pem(path=str(ours.certificate))
    async with serving(server, clients=ours.certificate) as port:
        for certificate, its_key in (
            (Pem(path=str(mine)), Pem(path=str(key))),
            (Pem(data=mine.read_bytes()), Pem(data=key.read_bytes())),
        ):
            settings = TlsSettings(authority=pem, certificate=certificate, key=its_key)
            async with connected(port, settings) as client:
                assert b"'me'" in await client.read("/x")

    with pytest.raises(ConfigurationError, match="do not fit"):
        TlsSource(TlsSettings(certificate=Pem(path=str(mine)), key=Pem(path=str(foreign))))
    with pytest.raises(ConfigurationError, match="no PEM"):
        TlsSource(TlsSettings(authority=Pem(data=b"nonsense")))


async def test_changed_files_make_new_connections_only(tmp_path: Path) -> None:
    """A rotated CA is used from the next connection on; requests in flight finish as they are."""
    old, new = authority(tmp_path, "old"), authority(tmp_path, "new")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(old.certificate.read_bytes())
    source = TlsSource(TlsSettings(authority=Pem(path=str(bundle))))
    pool = Pool(source, connections=4, age_s=600)
    async with serving(new.issue("server", alternative="IP:127.0.0.1")) as port:
        url = f"https://127.0.0.1:{port}/x"
        async with pool.use() as before:
            await source.refresh(None)
            assert source.version == 0, "nothing changed"

            bundle.write_bytes(new.certificate.read_bytes())
            await source.refresh(None)

            assert source.version == 1
            async with pool.use() as after, after.get(url) as response:
                assert response.status == 200
            assert after is not before
            assert not before.closed, "it is still in use"
        assert before.closed
        await pool.aclose()


async def test_files_that_break_change_nothing(tmp_path: Path) -> None:
    """Half-written or vanished files keep the context that works."""
    ours = authority(tmp_path, "ours")
    source = TlsSource(TlsSettings(authority=Pem(path=str(ours.certificate))))
    context = source.context

    ours.certificate.write_text("-----BEGIN CERT")
    await source.refresh(None)
    ours.certificate.unlink()
    await source.refresh(None)

    assert source.context is context
    assert source.version == 0


async def test_a_certificate_of_a_plugin_is_used(tmp_path: Path) -> None:
    """What an exec plug-in gave is shown like a certificate of the kubeconfig."""
    ours = authority(tmp_path, "ours")
    mine, key = ours.issue("me", alternative="DNS:me")
    server = ours.issue("server", alternative="IP:127.0.0.1")

    class Plugin:
        certificate = ClientCertificate(mine.read_bytes(), key.read_bytes())

        async def authorization(self) -> str | None:
            return None

        async def renew(self, refused: str | None) -> bool:
            return False

    async with serving(server, clients=ours.certificate) as port:
        config = ClusterConfig(
            server=f"https://127.0.0.1:{port}",
            tls=TlsSettings(authority=Pem(path=str(ours.certificate))),
            credentials=Plugin,
        )
        client = Client(Transport(config, user_agent="t"))
        assert b"'me'" in await client.read("/x")
        await client.aclose()
