"""One control plane: up, found again, down.

All of it lives in one folder, `<state folder>/<name>`: data, keys, logs, kubeconfigs and
`state.json`, which names the processes. A control plane is thrown away whole. So there is nothing
to repair: one that lost a process, with a reboot or otherwise, is cleared away and made anew.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from support.controlplane import components
from support.controlplane.binaries import ensure_tool
from support.controlplane.credentials import (
    ADMIN,
    User,
    file_name,
    write_kubeconfig,
    write_service_account_key,
    write_tokens,
)
from support.controlplane.download import Downloader
from support.controlplane.errors import ControlPlaneError
from support.controlplane.folders import exclusive, state_folder
from support.controlplane.processes import ProcessId, identify, is_alive, kill, spawn
from support.controlplane.rest import AdminClient

READY_WITHIN_S = 90.0
POLL_S = 0.05
PORT_TRIES = 4
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")

Say = Callable[[str], None]


class _PortTakenError(Exception):
    """Somebody took a port between our look and our use of it."""


@dataclass(slots=True)
class _State:
    """What `state.json` holds."""

    full: bool = False
    audit: bool = False
    server: str = ""
    users: list[User] = field(default_factory=list)
    processes: dict[str, ProcessId] = field(default_factory=dict)
    owner: ProcessId | None = None
    """The process this control plane must not outlive, if any."""

    @classmethod
    def read(cls, path: Path) -> _State | None:
        """Return what the file says, or None if there is none that can be used."""
        try:
            raw = json.loads(path.read_text())
            return cls(
                full=raw["full"],
                audit=raw["audit"],
                server=raw["server"],
                users=[
                    User(user["name"], tuple(user["groups"]), user["cluster_admin"])
                    for user in raw["users"]
                ],
                processes={name: ProcessId(**ident) for name, ident in raw["processes"].items()},
                owner=None if raw["owner"] is None else ProcessId(**raw["owner"]),
            )
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps(asdict(self), indent=1) + "\n")
        scratch.replace(path)


class ControlPlane:
    """A running control plane, known by its name.

    Guarantees: between `up` and `down` the API server answers under `kubeconfig`, as an
    administrator; with `full`, the default namespace has its ServiceAccount and one simulated
    Node is Ready. `down` leaves no process and no file. Any number run side by side.

    Concurrency: `up` and `down` of one name are serialised across processes.
    """

    def __init__(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise ControlPlaneError(
                f"{name!r} is no name for a control plane: lower-case letters, digits, - and ."
            )
        self.name = name
        self.folder = state_folder() / name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """One JSON event a line, for every answered request; there with `audit` only."""
        return self.folder / "audit.log"

    def kubeconfig_of(self, user: str) -> Path:
        """Return the kubeconfig of one of the extra users that `up` was given."""
        return self.folder / "users" / file_name(user)

    def log_of(self, component: str) -> Path:
        return self.folder / "logs" / f"{component}.log"

    # --- looking

    def processes(self) -> dict[str, bool]:
        """Return component -> whether it runs; empty when there is no such control plane."""
        state = self._read()
        if state is None:
            return {}
        wanted = components.FULL if state.full else components.SMALL
        return {
            name: name in state.processes and is_alive(state.processes[name]) for name in wanted
        }

    def is_ready(self) -> bool:
        """Return whether every component runs and the API server says that it is ready."""
        processes = self.processes()
        if not processes or not all(processes.values()) or not self.kubeconfig.exists():
            return False
        return self.client().is_there("/readyz")

    @property
    def server(self) -> str:
        return (self._read() or _State()).server

    @property
    def is_full(self) -> bool:
        return (self._read() or _State()).full

    @property
    def has_audit(self) -> bool:
        return (self._read() or _State()).audit

    def client(self) -> AdminClient:
        """Return a client with the administrator's rights.

        Raises:
            ControlPlaneError: there is no such control plane.
        """
        try:
            token = (self.folder / "admin-token").read_text()
            ca = self._certificate.read_bytes()
        except FileNotFoundError as error:
            raise ControlPlaneError(f"no control plane {self.name!r} is up") from error
        return AdminClient(server=self.server, ca=ca, token=token)

    # --- up

    def up(
        self,
        *,
        say: Say,
        full: bool = False,
        audit: bool = False,
        users: Sequence[User] = (),
        dies_with: int | None = None,
    ) -> ControlPlane:
        """It runs and is ready. One that already is, and has all that is asked for, stays.

        Args:
            say: told one line for each step that takes time.
            users: extra users, each with a token and a kubeconfig of its own.
            dies_with: id of a process; once that is gone, the next `up` of any control plane
                clears this one away.

        Raises:
            ControlPlaneError: a component failed, with the end of its log in the message; or one
                of that name runs that lacks what is asked for. Nothing is left behind.
            MissingToolError: a program can't be had.
        """
        remove_abandoned()
        with self._lock():
            if self._serves(full=full, audit=audit, users=users):
                say(f"control plane {self.name!r} is up already")
                return self
            if self.folder.exists():
                say(f"clearing away what is left of control plane {self.name!r}")
                self._clear()
            downloader = Downloader()
            names = components.FULL if full else components.SMALL
            programs = {name: ensure_tool(name, say=say, downloader=downloader) for name in names}
            state = _State(
                full=full,
                audit=audit,
                users=list(users),
                owner=None if dies_with is None else identify(dies_with),
            )
            for attempt in range(1, PORT_TRIES + 1):
                try:
                    self._start(state, programs, say)
                except _PortTakenError as taken:
                    self._clear()
                    if attempt == PORT_TRIES:
                        raise ControlPlaneError(str(taken)) from taken
                    say(f"{taken}: trying other ports")
                except BaseException:  # a Ctrl-C included: nothing is left behind
                    self._clear()
                    raise
                else:
                    return self
        raise AssertionError("the last try returns or raises")

    def _serves(self, *, full: bool, audit: bool, users: Sequence[User]) -> bool:
        """Return whether it runs with all of that.

        Raises:
            ControlPlaneError: it runs, but lacks something: it may be in use, so it is left alone.
        """
        state = self._read()
        if state is None or not self.is_ready():
            return False
        lacks = [
            word
            for word, missing in (
                ("the full shape", full and not state.full),
                ("an audit log", audit and not state.audit),
                ("some of the users", not set(users) <= set(state.users)),
            )
            if missing
        ]
        if lacks:
            raise ControlPlaneError(
                f"control plane {self.name!r} is up without {', '.join(lacks)}: take it down "
                "first, or give this one another name"
            )
        return True

    def _start(self, state: _State, programs: dict[str, Path], say: Say) -> None:
        started = time.monotonic()
        (self.folder / "logs").mkdir(parents=True)
        self.folder.chmod(0o700)
        state.processes.clear()
        tokens = write_tokens(self.folder / "tokens.csv", [ADMIN, *state.users])
        write_service_account_key(self.folder / "service-account.key")
        policy = json.dumps(components.AUDIT_POLICY)
        (self.folder / "audit-policy.json").write_text(policy)
        token_file = self.folder / "admin-token"
        token_file.touch(0o600)
        token_file.write_text(tokens[ADMIN.name])

        def run(name: str, flags: list[str]) -> None:
            state.processes[name] = spawn(
                [str(programs[name]), *flags], log=self.log_of(name), cwd=self.folder
            )
            state.write(self._state_file)

        client_port, peer_port, port = free_ports(3)
        state.server = f"https://127.0.0.1:{port}"
        run("etcd", components.etcd(self.folder, client_port=client_port, peer_port=peer_port))
        # The API server comes after it: while etcd is not there, another may answer on its port.
        self._wait(state, "etcd to listen", lambda: _listens(client_port))
        run(
            "kube-apiserver",
            components.kube_apiserver(
                self.folder, port=port, etcd_port=client_port, audit=state.audit
            ),
        )
        self._wait(state, "the API server's certificate", self._certificate_is_whole)
        client = self.client()
        self._wait(state, "the API server to be ready", lambda: client.is_there("/readyz"))
        for user in (ADMIN, *state.users):
            write_kubeconfig(
                self.kubeconfig if user is ADMIN else self.kubeconfig_of(user.name),
                server=state.server,
                ca=self._certificate.read_bytes(),
                user=user.name,
                token=tokens[user.name],
            )
        _bind_cluster_admins(client, state.users)
        self._wait(
            state,
            "the default namespace",
            lambda: client.is_there("/api/v1/namespaces/default"),
        )
        if state.full:
            run("kube-controller-manager", components.kube_controller_manager(self.folder))
            run("kube-scheduler", components.kube_scheduler(self.folder))
            run("kwok", components.kwok(self.folder))
            client.ensure("/api/v1/nodes", components.node())
            self._wait(
                state,
                "the controller manager's first ServiceAccount",
                lambda: client.is_there("/api/v1/namespaces/default/serviceaccounts/default"),
            )
            self._wait(state, "the simulated Node to be Ready", lambda: _node_is_ready(client))
        say(
            f"control plane {self.name!r} ({'full' if state.full else 'small'}) is ready "
            f"after {time.monotonic() - started:.1f} s"
        )

    def _wait(self, state: _State, what: str, is_true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not is_true():
            for name, process in state.processes.items():
                if not is_alive(process):
                    end = tail(self.log_of(name))
                    if "address already in use" in end:
                        raise _PortTakenError(f"{name} found its port taken")
                    raise ControlPlaneError(f"{name} ended while it came up:\n{end}")
            if time.monotonic() > deadline:
                ends = "\n".join(
                    f"--- {name}\n{tail(self.log_of(name), 8)}" for name in state.processes
                )
                raise ControlPlaneError(
                    f"waited {READY_WITHIN_S:.0f} s in vain for {what}; the logs end with:\n{ends}"
                )
            time.sleep(POLL_S)

    # --- down

    def down(self) -> bool:
        """No process and no file of it is left. Return whether there was anything."""
        with self._lock():
            there = self.folder.exists()
            self._clear()
        return there

    def _clear(self) -> None:
        state = self._read()
        if state is not None:
            for process in reversed(state.processes.values()):
                kill(process)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    # --- extra credentials

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig with a token of that ServiceAccount, which must exist.

        It has the ServiceAccount's own rights and nothing more: what an RBAC rule forgot shows.

        Raises:
            OSError: the API server refused the token.
        """
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 86400},
        }
        token = self.client().post(path, request)["status"]["token"]
        user = f"system:serviceaccount:{namespace}:{name}"
        target = self.folder / "tokens" / file_name(user)
        write_kubeconfig(
            target,
            server=self.server,
            ca=self._certificate.read_bytes(),
            user=user,
            token=token,
            namespace=namespace,
        )
        return target

    # --- files

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.json"

    @property
    def _certificate(self) -> Path:
        """The API server's own certificate and the authority it made for it."""
        return self.folder / "certificates" / "apiserver.crt"

    def _certificate_is_whole(self) -> bool:
        try:
            text = self._certificate.read_text()
        except FileNotFoundError:
            return False
        return text.count("-----END CERTIFICATE-----") >= 2 and text.endswith("\n")

    def _read(self) -> _State | None:
        return _State.read(self._state_file)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        # Beside the folder, not in it: the folder comes and goes.
        with exclusive(state_folder() / f".{self.name}.lock"):
            yield


def existing_names() -> list[str]:
    """Return the names of all control planes that left a trace, running or not."""
    root = state_folder()
    return sorted(path.name for path in root.iterdir() if path.is_dir()) if root.exists() else []


def down_all() -> list[str]:
    """Every control plane of this user is gone; return their names."""
    return [name for name in existing_names() if ControlPlane(name).down()]


def remove_abandoned() -> list[str]:
    """Those that were to die with a process which is gone are gone; return their names."""
    removed = []
    for name in existing_names():
        plane = ControlPlane(name)
        state = _State.read(plane.folder / "state.json")
        if state is not None and state.owner is not None and not is_alive(state.owner):
            plane.down()
            removed.append(name)
    return removed


def free_ports(count: int) -> list[int]:
    """Return loopback ports nobody listens on. They may be taken again before they are used."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def tail(log: Path, lines: int = 20) -> str:
    """Return the end of a log, long lines cut."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(line[:400] for line in text.splitlines()[-lines:]) or "(an empty log)"


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


def _node_is_ready(client: AdminClient) -> bool:
    """Return whether pods can be bound to it: Ready, and the taint of a new node taken off."""
    node = client.get(f"/api/v1/nodes/{components.NODE}")
    conditions = node.get("status", {}).get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not node.get("spec", {}).get("taints")


def _bind_cluster_admins(client: AdminClient, users: Sequence[User]) -> None:
    subjects = [
        {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user.name}
        for user in users
        if user.cluster_admin
    ]
    if subjects:
        client.ensure(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "control-plane-users"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "cluster-admin",
                },
                "subjects": subjects,
            },
        )
