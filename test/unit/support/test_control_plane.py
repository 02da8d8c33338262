"""The parts of a control plane that need none to run: names, state, processes, credentials."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from support.controlplane import ControlPlane, ControlPlaneError, User
from support.controlplane.credentials import (
    file_name,
    write_kubeconfig,
    write_service_account_key,
    write_tokens,
)
from support.controlplane.plane import _State, existing_names, free_ports, remove_abandoned, tail
from support.controlplane.processes import identify, is_alive, kill, spawn

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture(autouse=True)
def state_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["", "../etc", "a/b", ".hidden", "Upper", "-x", "a" * 64])
def test_name_that_is_no_file_name_is_refused(name: str) -> None:
    """A name becomes a folder, which `down` removes: it can't point anywhere else."""
    with pytest.raises(ControlPlaneError, match="is no name"):
        ControlPlane(name)


def test_killed_process_is_gone(tmp_path: Path) -> None:
    """After `kill` the process does not run, whoever started it."""
    process = spawn(SLEEPER, log=tmp_path / "log", cwd=tmp_path)
    assert is_alive(process)

    kill(process)

    assert not is_alive(process)


def test_reused_process_id_is_not_ours() -> None:
    """A process with our number that started at another moment is left alone."""
    with subprocess.Popen(SLEEPER) as stranger:
        remembered = replace(identify(stranger.pid), started="before the reboot")

        alive_as_ours = is_alive(remembered)
        kill(remembered)

        assert not alive_as_ours
        assert stranger.poll() is None
        stranger.kill()


def test_dead_child_is_not_alive_before_it_is_reaped(tmp_path: Path) -> None:
    """A zombie serves nobody."""
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
        process = identify(child.pid)
        assert child.stdout is not None
        child.stdout.read()  # ends when the child does
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        assert not is_alive(process)


def test_state_survives_a_round_trip(tmp_path: Path) -> None:
    """What one command wrote, the next one knows."""
    state = _State(
        full=True,
        audit=True,
        server="https://127.0.0.1:1",
        users=[User("system:x", ("a", "b"), cluster_admin=True)],
        processes={"etcd": identify(os.getpid())},
        owner=identify(os.getpid()),
    )

    state.write(tmp_path / "state.json")

    assert _State.read(tmp_path / "state.json") == state


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"full": true}', "nonsense"])
def test_damaged_state_is_no_state(state_home: Path, text: str) -> None:
    """A folder that nobody can make sense of is shown as not up, and cleared away by `down`."""
    plane = ControlPlane("broken")
    plane.folder.mkdir(parents=True)
    (plane.folder / "state.json").write_text(text)

    assert plane.processes() == {}
    assert not plane.is_ready()
    assert plane.down()
    assert existing_names() == []
    assert not plane.down()


def test_abandoned_control_plane_is_removed_with_its_processes(tmp_path: Path) -> None:
    """What was to die with a process that is gone is gone; what has a living owner stays."""
    with subprocess.Popen(SLEEPER) as owner:
        planes = {}
        for name, pid in (("orphan", owner.pid), ("kept", os.getpid())):
            plane = ControlPlane(name)
            plane.folder.mkdir(parents=True)
            process = spawn(SLEEPER, log=tmp_path / f"{name}.log", cwd=tmp_path)
            state = _State(processes={"etcd": process}, owner=identify(pid))
            state.write(plane.folder / "state.json")
            planes[name] = process
        owner.kill()

    removed = remove_abandoned()

    assert removed == ["orphan"]
    assert existing_names() == ["kept"]
    assert not is_alive(planes["orphan"])
    assert is_alive(planes["kept"])
    ControlPlane("kept").down()


def test_kubeconfig_is_private_and_names_its_user(tmp_path: Path) -> None:
    """It holds a token, so nobody else may read it; and it is YAML, whatever the names are."""
    path = tmp_path / "sub" / "config"

    write_kubeconfig(
        path, server="https://127.0.0.1:6443", ca=b"PEM", user="system:a: #b", token="secret"
    )

    assert path.stat().st_mode & 0o777 == 0o600
    content = yaml.safe_load(path.read_text())
    assert content["users"] == [{"name": "system:a: #b", "user": {"token": "secret"}}]
    cluster = content["clusters"][0]["cluster"]
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"PEM"
    assert content["contexts"][0]["context"]["user"] == "system:a: #b"


def test_every_user_has_a_token_of_its_own(tmp_path: Path) -> None:
    """One line a user, groups quoted, tokens never the same."""
    users = [User("a", ("g1", "g2")), User("b")]

    tokens = write_tokens(tmp_path / "tokens", users)

    lines = (tmp_path / "tokens").read_text().splitlines()
    assert lines == [f'{tokens["a"]},"a",1,"g1,g2"', f'{tokens["b"]},"b",2,""']
    assert tokens["a"] != tokens["b"]


def test_service_account_key_is_well_formed_and_fresh(tmp_path: Path) -> None:
    """A PEM block of an ECPrivateKey: version 1, 32 bytes, the curve P-256."""
    bodies = []
    for name in ("one", "two"):
        write_service_account_key(tmp_path / name)
        first, *middle, last = (tmp_path / name).read_text().splitlines()
        assert first == "-----BEGIN EC PRIVATE KEY-----"
        assert last == "-----END EC PRIVATE KEY-----"
        bodies.append(base64.b64decode("".join(middle), validate=True))

    assert all(len(body) == body[1] + 2 == 51 for body in bodies)
    assert bodies[0][:7] == bodies[1][:7] == bytes.fromhex("30310201010420")
    assert bodies[0] != bodies[1]


def test_file_name_of_a_user_is_one_path_segment() -> None:
    """User names hold colons and slashes."""
    assert file_name("system:serviceaccount:a:b/../c") == (
        "system-serviceaccount-a-b-..-c.kubeconfig"
    )


def test_free_ports_are_different() -> None:
    """They are looked for together, so that one is not found twice."""
    assert len(set(free_ports(20))) == 20


def test_tail_of_a_log_is_short(tmp_path: Path) -> None:
    """The end of a failed component's log fits a terminal; a missing one is said."""
    (tmp_path / "log").write_text("".join(f"line {n}\n" for n in range(100)) + "x" * 9999)

    assert tail(tmp_path / "log", 2) == "line 99\n" + "x" * 400
    assert tail(tmp_path / "none") == "(no log)"
