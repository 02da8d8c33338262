"""The command line of hack/quickstart, and its story from above.

Exit codes: 0 if all worked, also when Ctrl-C ended it after everything was up; 1 if something did
not; 2 for a wrong command line; 130 if it was interrupted before that.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from quickstart.cluster import Cluster, ensure_free, get_programs, start_own, use_existing
from quickstart.controller import Controller
from quickstart.errors import QuickstartError
from quickstart.kubectl import Kubectl
from quickstart.processes import ROOT, end_group, start_group
from quickstart.screen import Screen
from quickstart.tour import CHILDREN, Tour
from quickstart.undo import Undo
from support.controlplane import ControlPlaneError


class Signals:
    """The first Ctrl-C, SIGTERM or SIGHUP interrupts; from then on cleaning up is not disturbed."""

    def __init__(self) -> None:
        self._held = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._take)

    def hold(self) -> None:
        """No signal interrupts any more."""
        self._held = True

    def _take(self, number: int, frame: FrameType | None) -> None:
        if not self._held:
            self._held = True
            raise KeyboardInterrupt


class Quickstart:
    """One run. Steps append to `undo` how they are undone."""

    def __init__(self, *, kubeconfig: Path | None, once: bool, screen: Screen, undo: Undo) -> None:
        self.given = kubeconfig
        self.once = once
        self.screen = screen
        self.undo = undo
        self.controller: Controller | None = None
        self.is_up = False

    def run(self) -> None:
        """All steps; returns only with `once`.

        Raises:
            QuickstartError, ControlPlaneError: a step failed.
        """
        self._set_up()
        program = get_programs(self.screen, full=self.given is None)
        if self.given is None:
            cluster = start_own(self.screen, self.undo)
        else:
            cluster = use_existing(self.given)
        kubectl = Kubectl(
            program, cluster.kubeconfig, screen=self.screen, scope=cluster.kubectl_scope
        )
        if not cluster.is_ours:
            ensure_free(kubectl, self.screen, CHILDREN)
        tour = Tour(screen=self.screen, kubectl=kubectl, cluster=cluster, undo=self.undo)
        self.controller = Controller(cluster.controller_kubeconfig, cluster.log)
        tour.install()
        tour.start(self.controller)
        tour.define()
        tour.create()
        if self.once:
            tour.switch_ingress_on()
            tour.switch_ingress_off()
            tour.lose_service()
            tour.scale()
            tour.delete_instance()
            tour.delete_definition()
        else:
            self.is_up = True
            self._invite(kubectl, cluster)
            self.controller.watch()

    def _set_up(self) -> None:
        with self.screen.step("Python environment") as step:
            setup = start_group(
                [str(ROOT / "hack" / "setup")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            assert setup.stdout is not None
            try:
                for line in setup.stdout:
                    self.screen.note(line.decode(errors="replace").rstrip())
                code = setup.wait()
            except BaseException:
                end_group(setup)
                raise
            if code != 0:
                raise QuickstartError(f"hack/setup ended with {code}")
            step.result = "kro is installed in .venv"

    def _invite(self, kubectl: Kubectl, cluster: Cluster) -> None:
        """Show what there is to explore."""
        assert self.controller is not None
        screen = self.screen
        screen.heading("It is up. Explore it from another terminal:")
        screen.text()
        if Path.cwd() != ROOT:
            screen.text(f"  cd {shlex.quote(str(ROOT))}")
        screen.text(f"  export KUBECONFIG={shlex.quote(str(cluster.kubeconfig.absolute()))}")
        if shutil.which("kubectl") is None:
            screen.text(f"  alias kubectl={shlex.quote(str(kubectl.program))}")
        merge = ("patch", "webapplication", "shop", "--type=merge")
        screen.commands(
            [
                (
                    "the definition, its instance, and what is behind that",
                    kubectl.line("get", "rgd,webapplications,deployments,services,ingresses"),
                ),
                (
                    "the API that the definition has become",
                    kubectl.line("explain", "webapplication.spec"),
                ),
                (
                    "conditions, and the status that is read from the live objects",
                    kubectl.line("describe", "webapplication", "shop"),
                ),
                (
                    "an Ingress appears; with false it goes again",
                    kubectl.line(*merge, '--patch={"spec": {"ingress": {"enabled": true}}}'),
                ),
                (
                    "the Deployment follows",
                    kubectl.line(*merge, '--patch={"spec": {"replicas": 5}}'),
                ),
                ("the Service comes back", kubectl.line("delete", "service", "shop")),
                (
                    "the API server itself refuses what does not fit",
                    kubectl.line(*merge, '--patch={"spec": {"replicas": "many"}}'),
                ),
                (
                    "a second definition, with what Argo CD needs",
                    kubectl.line("apply", "--filename=examples/argocd/rgd.yaml"),
                ),
                (
                    "all of the application goes, in reverse order",
                    kubectl.line("delete", "webapplication", "shop"),
                ),
                ("what the controller does", f"tail -f {shlex.quote(str(self.controller.log))}"),
                (
                    "its metrics",
                    f"curl --silent http://127.0.0.1:{self.controller.metrics_port}/metrics",
                ),
            ]
        )
        screen.heading(
            "Ctrl-C takes all of it down again."
            if cluster.is_ours
            else "Ctrl-C deletes from the cluster what was created here, and stops the controller."
        )


def main() -> int:
    options = _parse()
    os.environ.pop("PYTHONPATH", None)  # it is this program's own, see hack/quickstart
    signals = Signals()
    screen, undo = Screen(), Undo()
    quickstart = Quickstart(
        kubeconfig=options.kubeconfig, once=options.once, screen=screen, undo=undo
    )
    started = time.monotonic()
    try:
        code = _run(quickstart, signals)
    finally:
        signals.hold()
        failures = undo.run(screen)
    if failures:
        code = code or 1
    if options.once and code == 0:
        screen.heading(f"All of it worked, in {time.monotonic() - started:.1f} s.")
    if quickstart.controller is not None and code != 1:
        quickstart.controller.log.unlink(missing_ok=True)
    return code


def _run(quickstart: Quickstart, signals: Signals) -> int:
    """Return the exit code; a failure has been shown."""
    screen = quickstart.screen
    try:
        quickstart.run()
    except (QuickstartError, ControlPlaneError) as error:
        signals.hold()
        screen.error(f"hack/quickstart failed: {error}")
        if quickstart.controller is not None and quickstart.controller.log.exists():
            screen.text(f"\nThe controller's log, {quickstart.controller.log}, ends with:")
            screen.output(quickstart.controller.last_lines())
        return 1
    except KeyboardInterrupt:
        return 0 if quickstart.is_up else 130
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="hack/quickstart",
        description="From a clone to a running web application: sets everything up, starts a real "
        "Kubernetes control plane and the controller, applies examples/webapp, waits until it is "
        "Ready, says how to explore it, and takes everything down at Ctrl-C.",
        epilog="The first run gets the programs of the control plane (see hack/control-plane "
        "--help), which may take some minutes. Exit codes: 0 if all worked, 1 if something did "
        "not, 2 for a wrong command line, 130 if it was interrupted before everything was up.",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="change, break and delete the application as a user would, check what comes of it, "
        "clean up and end",
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        default=os.environ.get("KRO_KUBECONFIG") or None,
        help="use this existing cluster, in its namespace `default`, in place of a control plane "
        "of its own, and delete in the end what was created in it; also KRO_KUBECONFIG",
    )
    options = parser.parse_args()
    if options.kubeconfig is not None:
        options.kubeconfig = options.kubeconfig.expanduser().absolute()
        if not options.kubeconfig.is_file():
            parser.error(f"no kubeconfig at {options.kubeconfig}")
    return options


if __name__ == "__main__":
    sys.exit(main())
