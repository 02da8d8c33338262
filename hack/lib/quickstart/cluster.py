"""The cluster of the quickstart: a control plane of its own, or one that is there already."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from quickstart.errors import QuickstartError
from quickstart.kubectl import Kubectl
from quickstart.screen import Screen
from quickstart.undo import Undo
from support.controlplane import CONTROLLER, ControlPlane, ensure_tool, remove_abandoned
from support.controlplane.components import FULL
from support.controlplane.folders import exclusive, state_folder

NAME = "quickstart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the quickstart happens."""

    name: str
    kubeconfig: Path
    controller_kubeconfig: Path
    is_ours: bool
    """True if all that is in it goes away with it."""

    @property
    def kubectl_scope(self) -> tuple[str, ...]:
        """The flags of kubectl to look where the example is, whatever the kubeconfig says."""
        return () if self.is_ours else ("-n", "default")

    @property
    def log(self) -> Path:
        """The controller's log; not in the control plane's folder, which is gone in the end."""
        return state_folder().parent / "logs" / f"{self.name}-controller.log"


def get_programs(screen: Screen, *, full: bool) -> Path:
    """The programs are on this machine; return kubectl's path."""
    names = (*FULL, "kubectl") if full else ("kubectl",)
    with screen.step("Programs: " + ", ".join(names)) as step:
        paths = {name: ensure_tool(name, say=screen.note) for name in names}
        for folder in dict.fromkeys(path.parent for path in paths.values()):
            held = [name for name, path in paths.items() if path.parent == folder]
            screen.note(f"{folder}: {', '.join(held)}")
        step.result = "all there"
    return paths["kubectl"]


def start_own(screen: Screen, undo: Undo) -> Cluster:
    """A full control plane runs, which ends with this process.

    Its name is always the same, so that a KUBECONFIG in another terminal stays good for the next
    time; while another quickstart runs, it carries our process id.
    """
    with (
        screen.step("A control plane of its own, without containers") as step,
        exclusive(state_folder() / ".quickstart-name.lock"),
    ):
        remove_abandoned()
        plane = ControlPlane(NAME)
        if plane.folder.exists():
            plane = ControlPlane(f"{NAME}-{os.getpid()}")
        undo.push("control plane ended, its files removed", plane.down)
        plane.up(say=screen.note, full=True, users=[CONTROLLER], dies_with=os.getpid())
        screen.note(f"kubeconfig: {plane.kubeconfig}")
        step.result = f"an API server answers at {plane.server}, one simulated node is Ready"
    return Cluster(
        name=plane.name,
        kubeconfig=plane.kubeconfig,
        controller_kubeconfig=plane.kubeconfig_of(CONTROLLER.name),
        is_ours=True,
    )


def use_existing(kubeconfig: Path) -> Cluster:
    """Return the cluster that the kubeconfig's current context names."""
    return Cluster(
        name=f"{NAME}-{os.getpid()}",
        kubeconfig=kubeconfig,
        controller_kubeconfig=kubeconfig,
        is_ours=False,
    )


def ensure_free(kubectl: Kubectl, screen: Screen, objects: tuple[str, ...]) -> None:
    """The existing cluster has nothing that the quickstart would touch.

    Raises:
        QuickstartError: it has; names what.
    """
    with screen.step("The existing cluster") as step:
        server = "--output=jsonpath={.clusters[0].cluster.server}"
        screen.note(f"kubeconfig: {kubectl.kubeconfig}")
        screen.note(f"context: {kubectl('config', 'current-context').strip()}")
        screen.note(f"server: {kubectl('config', 'view', '--minify', server)}")
        found = [each for each in objects if kubectl.is_there(each)]
        for kind in ("resourcegraphdefinitions", "webapplications"):
            if kubectl.is_there(f"customresourcedefinition/{kind}.kro.run"):
                names = "--output=jsonpath={range .items[*]}{.metadata.name} {end}"
                found += [
                    f"{kind}/{name}"
                    for name in kubectl("get", kind, "--all-namespaces", names).split()
                ]
        if found:
            raise QuickstartError(
                f"the cluster has {', '.join(found)} already, which the quickstart's controller "
                "would change: delete them, or use a cluster without"
            )
        step.result = "nothing in it is in the way"
