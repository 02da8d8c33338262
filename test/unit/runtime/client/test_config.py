"""Where the API server is: in-cluster files, kubeconfig in its forms, and clear errors."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from kro.runtime.client import ClusterConfig, ConfigurationError, load_config
from kro.runtime.client.config import TlsSettings
from kro.runtime.client.tls import proxy_for

SECRET = "s3cr3t-of-the-test"


def kubeconfig(
    *, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, name: str = "c"
) -> dict[str, Any]:
    """Return a kubeconfig with one of everything."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "ns"}}],
        "clusters": [{"name": name, "cluster": {"server": "https://api:6443/", **(cluster or {})}}],
        "users": [{"name": name, "user": user or {}}],
    }


def write(path: Path, document: object) -> Path:
    """Write a document as YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


def load(path: Path, **options: Any) -> ClusterConfig:
    """Read one kubeconfig."""
    return load_config(str(path), environment={}, **options)


async def header(config: ClusterConfig) -> str | None:
    """Return the Authorization header that a transport would send."""
    return await config.credentials().authorization()


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        pytest.param({}, None, id="nobody"),
        pytest.param({"token": f"{SECRET}\n"}, f"Bearer {SECRET}", id="token"),
        pytest.param({"tokenFile": "t"}, "Bearer from-file", id="token file, relative"),
        pytest.param({"token": SECRET, "tokenFile": "t"}, "Bearer from-file", id="file over token"),
        pytest.param(
            {"username": "u", "password": "p:q"},
            "Basic " + base64.b64encode(b"u:p:q").decode(),
            id="basic",
        ),
    ],
)
async def test_who_we_are(tmp_path: Path, user: dict[str, Any], expected: str | None) -> None:
    """Every plain way to say who we are ends in the right header."""
    (tmp_path / "t").write_text("from-file\n")

    config = load(write(tmp_path / "config", kubeconfig(user=user)))

    assert await header(config) == expected
    assert (config.server, config.namespace) == ("https://api:6443", "ns")


async def test_files_merge_and_the_first_to_name_a_thing_wins(tmp_path: Path) -> None:
    """Relative paths start at the file that holds them; missing files are passed over."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "t").write_text("b-token")
    first = {"current-context": "c", "clusters": [{"name": "c", "cluster": {"server": "first:1"}}]}
    paths = [
        write(tmp_path / "a" / "config", first),
        tmp_path / "missing",
        write(tmp_path / "b" / "config", kubeconfig(user={"tokenFile": "t"})),
    ]

    config = load_config(environment={"KUBECONFIG": ":".join(map(str, paths))})

    assert config.server == "https://first:1"
    assert await header(config) == "Bearer b-token"


def test_a_context_can_be_chosen(tmp_path: Path) -> None:
    """The named context beats the current one; an unknown one lists what there is."""
    document = kubeconfig()
    document["contexts"].append({"name": "other", "context": {"cluster": "c"}})
    path = write(tmp_path / "config", document)

    assert load(path, context="other").namespace == "default"
    with pytest.raises(ConfigurationError, match="'third'; known: c, other"):
        load(path, context="third")


def test_settings_of_the_cluster_are_kept(tmp_path: Path) -> None:
    """CA, server name, proxy and impersonation arrive where the transport reads them."""
    (tmp_path / "ca.pem").write_text("file")
    data = base64.b64encode(b"data").decode()
    path = write(
        tmp_path / "config",
        kubeconfig(
            cluster={
                "certificate-authority": "ca.pem",
                "tls-server-name": "other",
                "proxy-url": "http://proxy:3128",
                "insecure-skip-tls-verify": True,
            },
            user={
                "client-certificate-data": data,
                "client-key-data": data,
                "as": "u",
                "as-groups": ["g1", "g2"],
                "as-user-extra": {"Acme/Scope": ["x"]},
            },
        ),
    )

    config = load(path)

    assert config.tls.authority.path == str(tmp_path / "ca.pem")
    assert config.tls.certificate.data == config.tls.key.data == b"data"
    assert config.tls.server_name == "other"
    assert config.tls.insecure
    assert proxy_for(config) == "http://proxy:3128"
    assert config.headers == (
        ("Impersonate-User", "u"),
        ("Impersonate-Group", "g1"),
        ("Impersonate-Group", "g2"),
        ("Impersonate-Extra-acme%2Fscope", "x"),
    )


@pytest.mark.parametrize(
    ("user", "cluster", "words"),
    [
        pytest.param({"client-certificate-data": "YQ=="}, {}, "client-key", id="no key"),
        pytest.param({"client-key-data": "%%"}, {}, "client-key-data is no base64", id="base64"),
        pytest.param({"tokenFile": "gone"}, {}, "gone cannot be read", id="no token file"),
        pytest.param({"token": f"{SECRET} x"}, {}, "not one ASCII word", id="token with a blank"),
        pytest.param({"token": 7}, {}, "token must be a string", id="token of a wrong type"),
        pytest.param({}, {"server": ""}, "server is missing", id="no server"),
        pytest.param({}, {"server": "ftp://x"}, "write https://host:port", id="no https"),
        pytest.param({}, {"server": f"https://u:{SECRET}@x"}, "host, a port", id="user in URL"),
        pytest.param({}, {"certificate-authority": "gone"}, "gone does not exist", id="no CA"),
        pytest.param({"as-groups": ["g"]}, {}, "need as", id="groups without user"),
        pytest.param({"as": "a\r\nX: y"}, {}, "printable", id="header injection"),
        pytest.param({"exec": {"command": "x"}}, {}, "apiVersion must be one", id="exec version"),
        pytest.param(
            {
                "exec": {
                    "command": "x",
                    "apiVersion": "client.authentication.k8s.io/v1",
                    "interactiveMode": "Always",
                }
            },
            {},
            "without a terminal",
            id="exec with a terminal",
        ),
    ],
)
def test_what_cannot_work_is_said_at_once(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], words: str
) -> None:
    """Errors name the file, the entry and what to write, never the value."""
    path = write(tmp_path / "config", kubeconfig(user=user, cluster=cluster))

    with pytest.raises(ConfigurationError, match=words) as raised:
        load(path)

    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(f"token: {SECRET}\n\tx", "no YAML, line 2", id="no YAML"),
        pytest.param("- a", "no mapping", id="a list"),
        pytest.param("", "no current-context", id="empty"),
        pytest.param("contexts: 3\n", "contexts must be a list", id="wrong type"),
        pytest.param("users:\n- user: {}\n", "every item of users needs a name", id="nameless"),
    ],
)
def test_what_is_no_kubeconfig(tmp_path: Path, text: str, words: str) -> None:
    """A broken file is named with the place, without its content."""
    path = tmp_path / "config"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=words) as raised:
        load(path)

    assert SECRET not in f"{raised.value} {raised.value.__cause__}"


def service_account(tmp_path: Path) -> Path:
    """Return the folder that a pod finds."""
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("pod-token\n")
    (folder / "namespace").write_text("kro-system\n")
    (folder / "ca.crt").write_text("ca")
    return folder


@pytest.mark.parametrize(
    ("host", "server"),
    [
        pytest.param("10.0.0.1", "https://10.0.0.1:443", id="IPv4"),
        pytest.param("fd00::1", "https://[fd00::1]:443", id="IPv6"),
    ],
)
async def test_in_a_pod(tmp_path: Path, host: str, server: str) -> None:
    """The service account is used, unless KUBECONFIG or the flag say otherwise."""
    account = service_account(tmp_path)
    pod = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}
    named = write(tmp_path / "config", kubeconfig())

    config = load_config(environment=pod, service_account=account)
    assert (config.server, config.namespace) == (server, "kro-system")
    assert await header(config) == "Bearer pod-token"
    assert config.tls == TlsSettings(authority=config.tls.authority)
    assert config.tls.authority.path == str(account / "ca.crt")

    for options in (
        {"kubeconfig": str(named), "environment": pod},
        {"environment": {**pod, "KUBECONFIG": str(named)}},
    ):
        assert load_config(**options, service_account=account).server == "https://api:6443"


def test_nowhere_says_what_to_set(tmp_path: Path) -> None:
    """Without any description the error names the two ways out."""
    environment = {"HOME": str(tmp_path)}

    with pytest.raises(ConfigurationError, match="--kubeconfig or KUBECONFIG"):
        load_config(environment=environment, service_account=tmp_path / "none")

    write(tmp_path / ".kube" / "config", kubeconfig())
    found = load_config(environment=environment, service_account=tmp_path / "none")
    assert found.server == "https://api:6443"


@pytest.mark.parametrize(
    ("server", "environment", "proxy"),
    [
        pytest.param("https://api:6443", {}, None, id="none"),
        pytest.param("https://api:6443", {"HTTPS_PROXY": "http://p:1"}, "http://p:1", id="upper"),
        pytest.param("https://api:6443", {"https_proxy": "p:1"}, "http://p:1", id="lower, bare"),
        pytest.param("https://api:6443", {"HTTP_PROXY": "http://p:1"}, None, id="other scheme"),
        pytest.param("https://127.0.0.1:1", {"HTTPS_PROXY": "http://p:1"}, None, id="loopback"),
        *[
            pytest.param(
                server,
                {"HTTPS_PROXY": "http://p:1", "NO_PROXY": rule},
                None if exempt else "http://p:1",
                id=f"{server} under {rule}",
            )
            for server, rule, exempt in (
                ("https://10.1.2.3:443", "10.0.0.0/8", True),
                ("https://11.1.2.3:443", "10.0.0.0/8", False),
                ("https://[fd00::5]:443", "fd00::/8", True),
                ("https://10.1.2.3:443", "10.1.2.3", True),
                ("https://api.corp.example:443", ".corp.example", True),
                ("https://api.corp.example:443", "corp.example", True),
                ("https://corp.example:443", ".corp.example", False),
                ("https://notcorp.example:443", "corp.example", False),
                ("https://api:443", "other, API", True),
                ("https://api:443", "api:443", True),
                ("https://api:443", "api:8443", False),
                ("https://api:443", "*", True),
                ("https://api:443", "", False),
            )
        ],
    ],
)
def test_proxies(server: str, environment: dict[str, str], proxy: str | None) -> None:
    """The variables as other programs read them, CIDR exceptions included."""
    assert proxy_for(ClusterConfig(server=server, environment=environment)) == proxy


def test_a_proxy_never_sees_credentials_in_clear() -> None:
    """Plain http behind a proxy is refused before anything is sent."""
    config = ClusterConfig(server="http://api:80", environment={"HTTP_PROXY": "http://p:1"})

    with pytest.raises(ConfigurationError, match="https"):
        proxy_for(config)
