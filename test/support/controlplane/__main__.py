"""The command line of hack/control-plane."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from support.controlplane.binaries import TOOLS, ensure_tool
from support.controlplane.components import FULL, SMALL
from support.controlplane.credentials import User
from support.controlplane.download import Downloader
from support.controlplane.errors import ControlPlaneError
from support.controlplane.plane import ControlPlane, down_all, existing_names, remove_abandoned


def main() -> int:
    options = _parser().parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):  # end like Ctrl-C: what was begun is undone
        signal.signal(number, _interrupt)
    try:
        return int(options.run(options))
    except ControlPlaneError as error:
        print(f"hack/control-plane: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hack/control-plane: interrupted, cleaned up", file=sys.stderr)
        return 130


def _up(options: argparse.Namespace) -> int:
    plane = ControlPlane(options.name)
    plane.up(
        say=_say,
        full=options.full,
        audit=options.audit,
        users=[*options.user, *options.cluster_admin],
    )
    for user in (*options.user, *options.cluster_admin):
        _say(f"{user.name}: KUBECONFIG={plane.kubeconfig_of(user.name)}")
    if plane.has_audit:
        _say(f"audit log: {plane.audit_log}")
    _say(f"logs: {plane.folder / 'logs'}")
    _say(f"take it down: hack/control-plane down --name {plane.name}")
    _say("kubeconfig (the only line on standard output):")
    print(plane.kubeconfig)
    return 0


def _down(options: argparse.Namespace) -> int:
    if options.all:
        names = down_all()
    else:
        names = [options.name] if ControlPlane(options.name).down() else []
    print(f"down: {', '.join(names)}" if names else "nothing was up")
    return 0


def _status(options: argparse.Namespace) -> int:
    """Return 0 if all that were asked about are ready, 1 otherwise: also if there is none."""
    names = [options.name] if options.name else existing_names()
    if not names:
        print("no control plane is up")
    all_ready = bool(names)
    for name in names:
        plane = ControlPlane(name)
        processes = plane.processes()
        ready = plane.is_ready()
        all_ready = all_ready and ready
        if not processes:
            print(f"{name}: not up")
            continue
        shape = "full" if plane.is_full else "small"
        print(f"{name}: {'ready' if ready else 'NOT ready'} ({shape}), {plane.server}")
        print(f"  kubeconfig  {plane.kubeconfig}")
        for component, runs in processes.items():
            print(f"  {component:24}{'runs' if runs else 'IS GONE'}, log {plane.log_of(component)}")
    return 0 if all_ready else 1


def _binaries(options: argparse.Namespace) -> int:
    downloader = Downloader()
    shape = FULL if options.full else () if options.tool else SMALL
    for name in (*shape, *options.tool):
        path = ensure_tool(name, say=_say, downloader=downloader)
        if options.link:
            options.link.mkdir(parents=True, exist_ok=True)
            link = options.link / name
            link.unlink(missing_ok=True)
            link.symlink_to(path)
            path = link
        print(path)
    return 0


def _sweep(options: argparse.Namespace) -> int:
    for name in remove_abandoned():
        print(f"down: {name}, whose owner is gone")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hack/control-plane",
        description="A real Kubernetes control plane on this machine, without containers.",
        epilog="Programs are taken from $KUBEBUILDER_ASSETS, else from the cache "
        "($XDG_CACHE_HOME/kro), else downloaded, else built with Go.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser(
        "up",
        help="start one and wait until it is ready; prints its kubeconfig",
        description="Start a control plane on free ports and wait until it is ready. Its "
        "administrator's kubeconfig is the only line on standard output, so that "
        "`export KUBECONFIG=$(hack/control-plane up)` works. Safe to repeat.",
    )
    up.add_argument("--name", default="default", help="several run side by side (%(default)s)")
    up.add_argument(
        "--full",
        action="store_true",
        help="also controller manager, scheduler and a simulated node: Deployments become "
        "Available, namespaces and owned objects go away",
    )
    up.add_argument("--audit", action="store_true", help="log every request of every user")
    for flag, admin, text in (
        ("--user", False, "without any rights"),
        ("--cluster-admin", True, "with the ClusterRole cluster-admin"),
    ):
        up.add_argument(
            flag,
            action="append",
            default=[],
            type=_user_type(cluster_admin=admin),
            metavar="NAME[=GROUP,...]",
            help=f"an extra user {text} and with a kubeconfig of its own",
        )
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="end one and remove all its files")
    which = down.add_mutually_exclusive_group()
    which.add_argument("--name", default="default", help="which one (%(default)s)")
    which.add_argument("--all", action="store_true", help="all of this user")
    down.set_defaults(run=_down)

    status = commands.add_parser("status", help="show what runs; exit 1 if something is missing")
    status.add_argument("--name", help="only this one")
    status.set_defaults(run=_status)

    binaries = commands.add_parser("binaries", help="get the programs and print their paths")
    binaries.add_argument("--full", action="store_true", help="those of the full shape")
    binaries.add_argument(
        "--link",
        type=Path,
        metavar="FOLDER",
        help="put links to them into one folder, as KUBEBUILDER_ASSETS wants them",
    )
    binaries.add_argument("tool", nargs="*", type=_tool, metavar="TOOL", help=", ".join(TOOLS))
    binaries.set_defaults(run=_binaries)

    sweep = commands.add_parser("sweep", help="end those that an interrupted test run left behind")
    sweep.set_defaults(run=_sweep)
    return parser


def _tool(name: str) -> str:
    if name not in TOOLS:
        raise argparse.ArgumentTypeError(f"unknown program {name!r}; there are {', '.join(TOOLS)}")
    return name


def _user_type(*, cluster_admin: bool) -> Callable[[str], User]:
    def parse(text: str) -> User:
        name, _, groups = text.partition("=")
        if not name:
            raise argparse.ArgumentTypeError("a user needs a name")
        return User(name, tuple(group for group in groups.split(",") if group), cluster_admin)

    return parse


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
