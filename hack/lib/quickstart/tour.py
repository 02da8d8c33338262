"""What a person does with the example, step by step, and what must come of it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from quickstart.cluster import Cluster
from quickstart.controller import Controller
from quickstart.errors import QuickstartError
from quickstart.kubectl import Kubectl
from quickstart.processes import ROOT, end_group
from quickstart.screen import Screen
from quickstart.undo import Undo

CRDS = ROOT / "config" / "crd"
EXAMPLE = ROOT / "examples" / "webapp"
DEFINITION = "resourcegraphdefinition/webapplication"
REVISIONS = ("graphrevisions", "--selector=kro.run/resource-graph-definition-name=webapplication")
GENERATED_CRD = "customresourcedefinition/webapplications.kro.run"
INSTANCE = "webapplication/shop"
DEPLOYMENT, SERVICE, INGRESS = "deployment/shop", "service/shop", "ingress/shop"
CHILDREN = (DEPLOYMENT, SERVICE, INGRESS)
"""In the order in which the graph applies them."""


class Tour:
    """The steps, in the order in which they are to be called."""

    def __init__(self, *, screen: Screen, kubectl: Kubectl, cluster: Cluster, undo: Undo) -> None:
        self.screen = screen
        self.kubectl = kubectl
        self.cluster = cluster
        self.undo = undo

    # --- up

    def install(self) -> None:
        """The CRDs of kro itself are served."""
        with self.screen.step("kro's own kinds") as step:
            missing = [file for file in sorted(CRDS.glob("*.yaml")) if not self._is_served(file)]
            for file in missing:
                self._remove_in_the_end(_crd_of(file))
            for file in missing:
                self._apply(file)
            for file in sorted(CRDS.glob("*.yaml")):
                self.kubectl.wait(_crd_of(file), "--for=condition=Established")
            step.result = "the API server serves ResourceGraphDefinitions"

    def start(self, controller: Controller) -> None:
        """The controller runs, and no later step waits for one that does not."""
        with self.screen.step("The controller") as step:
            program, command, *flags = controller.command
            self.screen.command(" \\\n      ".join([f"{program} {command}", *flags]))
            self.screen.note(f"log: {controller.log}")
            self.undo.push("controller stopped", controller.stop)
            self.kubectl.guard = controller.check
            controller.start()
            step.result = "it is ready"

    def define(self) -> None:
        """The definition has become an API."""
        with self.screen.step("A definition: one small API in place of three objects") as step:
            if not self.kubectl.is_there(GENERATED_CRD):
                self._remove_in_the_end(GENERATED_CRD)
            # Each revision has a finalizer too, for which the controller must still be there.
            self._remove_in_the_end(*REVISIONS)
            self._remove_in_the_end(DEFINITION)
            self._apply(EXAMPLE / "rgd.yaml")
            self.kubectl.wait(DEFINITION)
            self.kubectl.show("get", "rgd")
            step.result = "WebApplication is a kind of this cluster"

    def create(self) -> None:
        """The instance is Ready and its children are there."""
        with self.screen.step("An instance: a web application") as step:
            self._remove_in_the_end(INSTANCE)
            manifest = EXAMPLE / "instance.yaml"
            self.screen.command(f"cat {manifest.relative_to(ROOT)}")
            self.screen.output(manifest.read_text())
            self._apply(manifest)
            self.kubectl.wait(INSTANCE)
            self._show_table()
            self.kubectl.show("get", "deployment,service,ingress", "--selector=kro.run/owned=true")
            self._expect_projected_status()
            step.result = "it runs: 3 replicas, behind a Service"

    # --- what a user does next

    def switch_ingress_on(self) -> None:
        with self.screen.step("Switch the Ingress on") as step:
            self._turn_ingress(on=True)
            self.kubectl.show("get", "ingress", "shop")
            backend = ".spec.rules[0].http.paths[0].backend.service.name"
            self._expect("the Ingress's backend", self.kubectl.field(INGRESS, backend), "shop")
            step.result = "the Ingress is there, and leads to the Service"

    def switch_ingress_off(self) -> None:
        with self.screen.step("Switch the Ingress off") as step:
            self._turn_ingress(on=False)
            self.kubectl.show("wait", INGRESS, "--for=delete", "--timeout=60s")
            if self.kubectl.is_there(INGRESS):
                raise QuickstartError(f"{INGRESS} is still there")
            step.result = "the Ingress is gone"

    def lose_service(self) -> None:
        with self.screen.step("Delete the Service by hand") as step:
            before = self.kubectl.field(SERVICE, ".metadata.uid")
            self.kubectl.show("delete", "service", "shop")

            def come_back() -> str | None:
                uid = self.kubectl.field(SERVICE, ".metadata.uid")
                return uid if uid and uid != before else None

            after = self.kubectl.until("the Service to come back", come_back)
            self.kubectl.wait(INSTANCE)
            self.kubectl.show("get", "service", "shop")
            step.result = f"it is back (was {before[:8]}…, is {after[:8]}…)"

    def scale(self) -> None:
        with self.screen.step("Ask for 5 replicas") as step:
            self._patch('{"spec": {"replicas": 5}}')
            self.kubectl.wait(INSTANCE)
            self.kubectl.wait(INSTANCE, "--for=jsonpath={.status.availableReplicas}=5")
            replicas = self.kubectl.field(DEPLOYMENT, ".spec.replicas")
            self._expect("the Deployment's replicas", replicas, "5")
            path = "custom-columns=NAME:.metadata.name,AVAILABLE:.status.availableReplicas"
            self.kubectl.show("get", INSTANCE, f"--output={path}")
            step.result = "the Deployment has 5, and the instance's status says so"

    def delete_instance(self) -> None:
        """The children went, each before what it was built on.

        Their order is read from the resourceVersion that each had when it went: etcd counts all
        of its writes in one line.
        """
        with self.screen.step("Delete the instance, which has all three children again") as step:
            self._turn_ingress(on=True)
            with self._departures() as departures:
                self.kubectl.show("delete", "webapplication", "shop", "--timeout=60s")
                left = [each for each in CHILDREN if self.kubectl.is_there(each)]
                if left:
                    raise QuickstartError(f"left when the instance was gone: {', '.join(left)}")
                gone = {
                    child: self.kubectl.until(f"the watch to tell of {child}", departure.revision)
                    for child, departure in departures.items()
                }
            order = sorted(gone, key=gone.__getitem__)
            if order != list(reversed(CHILDREN)):
                raise QuickstartError(f"the children went in the order {', '.join(order)}")
            step.result = f"gone, in reverse order: {', then '.join(order)}"

    def delete_definition(self) -> None:
        with self.screen.step("Delete the definition") as step:
            self.kubectl.show("delete", "rgd", "webapplication", "--timeout=60s")
            self._expect("the definition", self.kubectl.field(DEFINITION, ".metadata.name"), "")
            step.result = "it is gone"

    # --- inside

    def _apply(self, file: Path) -> None:
        # Server-side, because the API server holds a POST back while its kind is newer than two
        # seconds (apiextensions-apiserver, `crdHandler`), and that is no time of kro's.
        self.kubectl.show("apply", "--server-side", f"--filename={file.relative_to(ROOT)}")

    def _turn_ingress(self, *, on: bool) -> None:
        self._patch(json.dumps({"spec": {"ingress": {"enabled": on}}}))
        self.kubectl.wait(INSTANCE)

    def _patch(self, patch: str) -> None:
        self.kubectl.show("patch", "webapplication", "shop", "--type=merge", f"--patch={patch}")

    def _show_table(self) -> None:
        table = self.kubectl.show("get", "webapplications")
        header, *rows = [line.split() for line in table.splitlines()]
        self._expect("the columns", header, ["NAME", "STATE", "READY", "AGE"])
        self._expect("the rows", [row[:3] for row in rows], [["shop", "ACTIVE", "True"]])

    def _expect_projected_status(self) -> None:
        status = json.loads(self.kubectl.field(INSTANCE, ".status"))
        self._expect("status.availableReplicas", status.get("availableReplicas"), 3)
        self._expect("status.url", status.get("url"), "http://shop.default.svc")
        if not status.get("deploymentConditions"):
            raise QuickstartError(f"status.deploymentConditions is missing in {status}")

    def _expect(self, what: str, seen: object, wanted: object) -> None:
        if seen != wanted:
            raise QuickstartError(f"expected {wanted!r} for {what}, and found {seen!r}")

    def _is_served(self, file: Path) -> bool:
        return self.kubectl.is_there(_crd_of(file))

    def _remove_in_the_end(self, *what: str) -> None:
        """Have the object or objects removed; needless where the whole cluster goes."""
        if not self.cluster.is_ours:
            delete = ("delete", *what, "--ignore-not-found", "--timeout=60s")
            self.undo.push(f"{what[0]} deleted", lambda: self.kubectl(*delete))

    @contextmanager
    def _departures(self) -> Iterator[dict[str, _Departure]]:
        """Watch all children; the watches have begun when the block does."""
        departures: dict[str, _Departure] = {}
        try:
            for child in CHILDREN:
                departures[child] = _Departure(self.kubectl, child)
            for child, departure in departures.items():
                self.kubectl.until(f"a watch of {child}", departure.begun)
            yield departures
        finally:
            for departure in departures.values():
                departure.close()


class _Departure:
    """A watch of one object, for the moment it goes."""

    def __init__(self, kubectl: Kubectl, target: str) -> None:
        self._lines: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in `close`
        line = '{.type} {.object.metadata.resourceVersion}{"\\n"}'
        self._process = kubectl.start(
            *("get", *target.split("/"), "--watch", "--output-watch-events"),
            f"--output=jsonpath={line}",
            stdout=self._lines,
            stderr=subprocess.DEVNULL,
        )

    def begun(self) -> bool | None:
        """Return True once the object was listed: the watch goes on from there."""
        return True if self._events() else None

    def revision(self) -> int | None:
        """Return the cluster's revision in which the object went, None while it is there."""
        for event in self._events():
            if event[0] == "DELETED":
                return int(event[1])
        return None

    def close(self) -> None:
        end_group(self._process)
        self._lines.close()

    def _events(self) -> list[list[str]]:
        # kubectl writes where this file's position is, so it must not be moved.
        text = os.pread(self._lines.fileno(), 1 << 16, 0).decode()
        return [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _crd_of(file: Path) -> str:
    """Return the CRD in a file of config/crd, whose name is `<group>_<plural>.yaml`."""
    group, _, plural = file.stem.partition("_")
    return f"customresourcedefinition/{plural}.{group}"
