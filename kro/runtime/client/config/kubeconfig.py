"""Reading kubeconfig files: merging, contexts, and every way to say who we are.

The small reader here covers everything that needs no network. kubernetes_asyncio, which costs 55
MiB to import, is asked for the legacy `auth-provider` entries alone, and only then imported.

No message quotes a value of a file, since any of them may be a secret put in the wrong place.

Source: spec "Controller runtime" P-117; client-go's merge rule (the first file to name a thing
wins, relative paths start at the file that holds them).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, cast
from urllib.parse import quote

import yaml

from kro.runtime.client.config.cluster import ClusterConfig, Pem, TlsSettings
from kro.runtime.client.credentials import (
    Credentials,
    ExecCredentials,
    ExecPlugin,
    StaticCredentials,
    TokenFile,
    read_token,
)
from kro.runtime.client.errors import ConfigurationError

_MAX_FILE_BYTES = 8 * 1024 * 1024

Document = Mapping[str, object]


def _read_document(path: Path) -> Document:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ConfigurationError(f"kubeconfig {path} is larger than 8 MiB")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        document = yaml.load(path.read_text(), Loader=loader)
    except OSError as error:
        raise ConfigurationError(f"kubeconfig {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        # Not chained: the text of the error quotes the file, and the file holds secrets.
        raise ConfigurationError(f"kubeconfig {path} is no YAML{where}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"kubeconfig {path} is no mapping")
    return cast("Document", document)


class _Section:
    """A mapping of a kubeconfig that knows where it stands, for messages, and its folder."""

    def __init__(self, values: Document, where: str, folder: Path) -> None:
        self.values = values
        self.where = where
        self.folder = folder

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ConfigurationError(f"{self.where}: {key} must be a string")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if value is not None and not isinstance(value, bool):
            raise ConfigurationError(f"{self.where}: {key} must be true or false")
        return bool(value)

    def section(self, key: str) -> _Section | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise ConfigurationError(f"{self.where}: {key} must be a mapping")
        return _Section(value, f"{self.where}.{key}", self.folder)

    def items(self, key: str) -> list[object]:
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise ConfigurationError(f"{self.where}: {key} must be a list")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        items = self.items(key)
        if not all(isinstance(item, str) for item in items):
            raise ConfigurationError(f"{self.where}: {key} must be a list of strings")
        return tuple(cast("list[str]", items))

    def path(self, key: str) -> str:
        """A file name, relative to the kubeconfig that names it."""
        name = self.text(key)
        return str(self.folder / name) if name else ""

    def pem(self, key: str) -> Pem:
        """`<key>-data` in base64, which wins, or the file `<key>`."""
        data = self.text(f"{key}-data")
        if data:
            try:
                return Pem(data=base64.b64decode(data, validate=True))
            except (binascii.Error, ValueError):
                raise ConfigurationError(f"{self.where}: {key}-data is no base64") from None
        path = self.path(key)
        if path and not Path(path).is_file():
            raise ConfigurationError(f"{self.where}: {key} {path} does not exist")
        return Pem(path=path)


class Kubeconfig:
    """Several kubeconfig files as one: the first to name a thing wins."""

    def __init__(
        self, documents: Sequence[tuple[Path, Document]], environment: Mapping[str, str]
    ) -> None:
        self._environment = environment
        self._current = ""
        self._named: dict[tuple[str, str], _Section] = {}
        self._first = documents[0][0]
        for path, document in documents:
            top = _Section(document, f"kubeconfig {path}", path.parent)
            self._current = self._current or top.text("current-context")
            for plural, singular in (
                ("clusters", "cluster"),
                ("users", "user"),
                ("contexts", "context"),
            ):
                for entry in top.items(plural):
                    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                        raise ConfigurationError(
                            f"kubeconfig {path}: every item of {plural} needs a name"
                        )
                    name = entry["name"]
                    where = f"kubeconfig {path}: {singular} {name!r}"
                    section = _Section(entry, where, path.parent).section(singular)
                    self._named.setdefault(
                        (singular, name), section or _Section({}, where, path.parent)
                    )

    @classmethod
    def read(cls, paths: Sequence[Path], environment: Mapping[str, str]) -> Self:
        """Return the content of the files, which must exist.

        Raises:
            ConfigurationError: a file cannot be read, or is no kubeconfig.
        """
        return cls([(path, _read_document(path)) for path in paths], environment)

    def _find(self, kind: str, name: str, needed_by: str) -> _Section:
        section = self._named.get((kind, name))
        if section is None:
            known = ", ".join(sorted(key for of, key in self._named if of == kind)) or "none"
            raise ConfigurationError(f"{needed_by} names {kind} {name!r}; known: {known}")
        return section

    def cluster_config(self, context_name: str) -> ClusterConfig:
        """Return what a context (the current one, if empty) stands for.

        Raises:
            ConfigurationError: something is missing, or cannot work.
        """
        name = context_name or self._current
        if not name:
            raise ConfigurationError(f"kubeconfig {self._first} has no current-context")
        context = self._find("context", name, "--context" if context_name else "current-context")
        cluster = self._find("cluster", context.text("cluster"), context.where)
        user_name = context.text("user")
        user = (
            self._find("user", user_name, context.where)
            if user_name
            else _Section({}, context.where, context.folder)
        )
        server = cluster.text("server").rstrip("/")
        if not server:
            raise ConfigurationError(f"{cluster.where}: server is missing")
        if "://" not in server:
            server = f"https://{server}"
        certificate, key = user.pem("client-certificate"), user.pem("client-key")
        if bool(certificate) != bool(key):
            raise ConfigurationError(
                f"{user.where}: client-certificate and client-key must both be there"
            )
        return ClusterConfig(
            server=server,
            namespace=context.text("namespace") or "default",
            tls=TlsSettings(
                authority=cluster.pem("certificate-authority"),
                certificate=certificate,
                key=key,
                server_name=cluster.text("tls-server-name"),
                insecure=cluster.flag("insecure-skip-tls-verify"),
            ),
            credentials=self._credentials(user, cluster, name),
            headers=_impersonation(user),
            proxy=cluster.text("proxy-url") or None,
            environment=self._environment,
        )

    def _credentials(
        self, user: _Section, cluster: _Section, context: str
    ) -> Callable[[], Credentials]:
        token_file = user.path("tokenFile")
        token = user.text("token").strip()
        exec_section = user.section("exec")
        if token_file:
            read_token(token_file)
            return lambda: TokenFile(token_file)
        if token:
            if any(character.isspace() for character in token) or not token.isascii():
                raise ConfigurationError(f"{user.where}: token is not one ASCII word")
            return lambda: StaticCredentials.bearer(token)
        if exec_section is not None:
            plugin = _exec_plugin(exec_section, cluster)
            return lambda: ExecCredentials(plugin)
        username = user.text("username")
        if username:
            password = user.text("password")
            return lambda: StaticCredentials.basic(username, password)
        if user.section("auth-provider") is not None:
            from kro.runtime.client.config.borrowed import BorrowedCredentials

            document = self._as_document(user, cluster)
            return lambda: BorrowedCredentials(document)
        return StaticCredentials

    def _as_document(self, user: _Section, cluster: _Section) -> Document:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
            "clusters": [{"name": "c", "cluster": {"server": cluster.text("server")}}],
            "users": [{"name": "c", "user": dict(user.values)}],
        }


_TOKEN = "!#$&'*+-.^_`|~"
"""What a header name may hold besides letters and digits; the rest is percent-encoded."""


def _impersonation(user: _Section) -> tuple[tuple[str, str], ...]:
    headers = [
        (header, value)
        for key, header in (("as", "Impersonate-User"), ("as-uid", "Impersonate-Uid"))
        if (value := user.text(key))
    ]
    headers += [("Impersonate-Group", group) for group in user.texts("as-groups")]
    extra = user.section("as-user-extra")
    if extra is not None:
        headers += [
            (f"Impersonate-Extra-{quote(str(key).lower(), safe=_TOKEN)}", value)
            for key in extra.values
            for value in extra.texts(str(key))
        ]
    if headers and not user.text("as"):
        raise ConfigurationError(f"{user.where}: as-uid, as-groups, as-user-extra need as")
    for name, value in headers:
        if any(ord(character) < 32 or ord(character) > 126 for character in name + value):
            raise ConfigurationError(f"{user.where}: impersonation must be printable ASCII")
    return tuple(headers)


_EXEC_VERSIONS = (
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
)


def _exec_plugin(section: _Section, cluster: _Section) -> ExecPlugin:
    command = section.text("command")
    if not command:
        raise ConfigurationError(f"{section.where}: command is missing")
    if "/" in command:
        command = str(section.folder / command)
    version = section.text("apiVersion")
    if version not in _EXEC_VERSIONS:
        raise ConfigurationError(
            f"{section.where}: apiVersion must be one of {', '.join(_EXEC_VERSIONS)}"
        )
    if section.text("interactiveMode") == "Always":
        raise ConfigurationError(
            f"{section.where}: interactiveMode Always cannot work without a terminal"
        )
    environment: dict[str, str] = {}
    for entry in section.items("env"):
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{section.where}: env must be a list of name and value")
        variable = _Section(entry, f"{section.where}.env", section.folder)
        environment[variable.text("name")] = variable.text("value")
    return ExecPlugin(
        command=command,
        arguments=section.texts("args"),
        environment=environment,
        api_version=version,
        install_hint=section.text("installHint"),
        cluster=_exec_cluster(cluster) if section.flag("provideClusterInfo") else None,
    )


def _exec_cluster(cluster: _Section) -> Mapping[str, object]:
    """What a plug-in is told about the cluster."""
    authority = cluster.pem("certificate-authority")
    data = authority.data or (Path(authority.path).read_bytes() if authority.path else b"")
    info: dict[str, object] = {"server": cluster.text("server")}
    if data:
        info["certificate-authority-data"] = base64.b64encode(data).decode()
    for key in ("tls-server-name", "proxy-url"):
        if cluster.text(key):
            info[key] = cluster.text(key)
    if cluster.flag("insecure-skip-tls-verify"):
        info["insecure-skip-tls-verify"] = True
    for extension in cluster.items("extensions"):
        if isinstance(extension, dict) and extension.get("name") == _EXEC_EXTENSION:
            info["config"] = extension.get("extension")
    return info


_EXEC_EXTENSION = "client.authentication.k8s.io/exec"
