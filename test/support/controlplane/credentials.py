"""Users, tokens, keys and kubeconfigs of a throw-away control plane."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class User:
    """Somebody the API server knows by a token of his own."""

    name: str
    groups: tuple[str, ...] = ()
    cluster_admin: bool = False
    """Bound to cluster-admin. Unlike `system:masters` this leaves the user subject to the API
    server's flow control, as a controller in a real cluster is."""


ADMIN = User("kro-admin", ("system:masters",))
CONTROLLER = User(
    "system:serviceaccount:kro-system:kro",
    ("system:serviceaccounts", "system:serviceaccounts:kro-system"),
    cluster_admin=True,
)
"""The controller under test: known by name in the audit log, with the rights of the chart's
unrestricted mode."""


def write_tokens(path: Path, users: Iterable[User]) -> dict[str, str]:
    """Write the API server's token file; return user name -> token.

    Source: Kubernetes static token file: token, user, uid and a quoted list of groups.
    """
    tokens = {user.name: secrets.token_hex(16) for user in users}
    lines = []
    for uid, user in enumerate(users, 1):
        groups = ",".join(user.groups)
        lines.append(f'{tokens[user.name]},"{user.name}",{uid},"{groups}"\n')
    _write_private(path, "".join(lines))
    return tokens


def write_service_account_key(path: Path) -> None:
    """Write a fresh P-256 private key in PEM, as the API server signs ServiceAccount tokens with.

    Every number below the order of the curve is a key, and the order is so close to 2**256 that
    32 random bytes with the top bit cleared always are; the reader derives the public half.

    Source: RFC 5915 (ECPrivateKey) with the named curve of RFC 5480.
    """
    number = bytearray(secrets.token_bytes(32))
    number[0] = number[0] & 0x7F | 0x40
    der = bytes.fromhex("3031020101" + "0420") + number + bytes.fromhex("a00a06082a8648ce3d030107")
    body = base64.encodebytes(der).decode().replace("\n", "")
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    _write_private(
        path,
        "\n".join(["-----BEGIN EC PRIVATE KEY-----", *lines, "-----END EC PRIVATE KEY-----", ""]),
    )


def write_kubeconfig(
    path: Path, *, server: str, ca: bytes, user: str, token: str, namespace: str = "default"
) -> None:
    """Write a kubeconfig with one context; readable by its owner only."""
    quoted = json.dumps  # a JSON string is a YAML string
    _write_private(
        path,
        f"""\
apiVersion: v1
kind: Config
current-context: kro
clusters:
- name: kro
  cluster:
    server: {quoted(server)}
    certificate-authority-data: {base64.b64encode(ca).decode()}
contexts:
- name: kro
  context:
    cluster: kro
    user: {quoted(user)}
    namespace: {quoted(namespace)}
users:
- name: {quoted(user)}
  user:
    token: {quoted(token)}
""",
    )


def file_name(user: str) -> str:
    """Return a file name for a user's kubeconfig."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", user) + ".kubeconfig"


def _write_private(path: Path, text: str) -> None:
    """Write whole or not at all: a reader in another process never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    scratch.replace(path)
