"""What the controller needs to serve a definition."""

from __future__ import annotations

from typing import Any

import pytest

from kro.controllers.access import (
    Need,
    grants_of,
    merged,
    needs_of,
    own_needs,
    owner_needs_of,
    reasons_of,
)
from kro.graph import Graph, build
from kro.refs import JsonObject
from kro.schema import BundledSchemas
from support.manifests import configmap, definition

READ = {"get", "list", "watch"}
WRITE = READ | {"create", "patch", "delete"}


def _graph(*resources: JsonObject, name: str = "shop", kind: str = "Shop") -> Graph:
    spec = definition(kind, resources, group="example.com", scope="Namespaced")["spec"]
    return build(name, spec, BundledSchemas())


def _external(node: str, kind: str = "ConfigMap", **metadata: Any) -> JsonObject:
    return {"id": node, "externalRef": {"apiVersion": "v1", "kind": kind, "metadata": metadata}}


def _object(node: str, api_version: str, kind: str, **more: Any) -> JsonObject:
    metadata = {"name": f"${{schema.metadata.name}}-{node.lower()}", **more.pop("metadata", {})}
    return {
        "id": node,
        "template": {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more},
    }


def _verbs(needs: tuple[Need, ...]) -> dict[str, set[str]]:
    return {str(need): set(need.verbs) for need in needs}


def test_children_are_written_references_are_read_and_instances_are_kept() -> None:
    """Each with the verbs that the engine's requests are authorized as, and no other."""
    graph = _graph(
        configmap("config", name="${schema.metadata.name}"),
        _external("secret", "Secret", name="shared"),
        _external("nodes", "Node", selector={"matchLabels": {"pool": "a"}}),
    )

    assert _verbs(needs_of(graph)) == {
        "configmaps": WRITE,
        "nodes": READ,
        "secrets": READ,
        "shops.example.com": READ | {"patch"},
        "shops/status.example.com": {"update"},
    }


def test_a_kind_that_is_read_and_written_is_one_need_with_both_reasons() -> None:
    """The union of the verbs; the nodes of one purpose stand together."""
    graph = _graph(
        configmap("a", name="${schema.metadata.name}-a"),
        _external("shared", name="shared"),
        configmap("b", name="${schema.metadata.name}-b"),
    )

    need = next(need for need in needs_of(graph) if need.resource == "configmaps")

    assert need.verbs == WRITE
    assert reasons_of(need) == "written by shop (a, b); read by shop (shared)"


def test_a_long_list_of_nodes_is_cut() -> None:
    """A comment names some nodes and counts the rest."""
    nodes = [configmap(f"c{at}", name=f"${{schema.metadata.name}}-{at}") for at in range(40)]

    need = next(need for need in needs_of(_graph(*nodes)) if need.resource == "configmaps")

    assert reasons_of(need) == "written by shop (c0, c1, c2, c3, c4, c5, 34 more)"


def test_a_child_that_blocks_its_owners_deletion_needs_the_owners_finalizers() -> None:
    """Of the instance or of another node; not without `blockOwnerDeletion`."""

    def owner(api_version: str, kind: str, **more: Any) -> JsonObject:
        return {"apiVersion": api_version, "kind": kind, "name": "x", "uid": "u", **more}

    graph = _graph(
        configmap("base", name="${schema.metadata.name}"),
        _object(
            "child",
            "v1",
            "Secret",
            metadata={
                "ownerReferences": [
                    owner("example.com/v1alpha1", "Shop", blockOwnerDeletion=True),
                    owner("v1", "ConfigMap", blockOwnerDeletion=True),
                    owner("apps/v1", "Deployment", blockOwnerDeletion=True),
                ]
            },
        ),
        _object("free", "v1", "Service", metadata={"ownerReferences": [owner("v1", "Secret")]}),
    )

    needs = owner_needs_of(graph)

    assert _verbs(needs) == {
        "configmaps/finalizers": {"update"},
        "shops/finalizers.example.com": {"update"},
    }
    assert all("OwnerReferencesPermissionEnforcement" in reasons_of(need) for need in needs)
    assert not any("finalizers" in need.resource for need in needs_of(graph))


def test_roles_and_bindings_are_told_apart_from_other_children() -> None:
    """Writing a role takes its rights or `escalate`; binding one takes them or `bind`."""
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    graph = _graph(
        _object("role", "rbac.authorization.k8s.io/v1", "Role", rules=[]),
        _object("binding", "rbac.authorization.k8s.io/v1", "RoleBinding", roleRef=reference),
        configmap("config", name="${schema.metadata.name}"),
    )

    assert _verbs(grants_of(graph, "escalate")) == {"roles.rbac.authorization.k8s.io": {"escalate"}}
    assert _verbs(grants_of(graph, "bind")) == {"clusterroles.rbac.authorization.k8s.io": {"bind"}}


def test_a_binding_of_a_computed_role_may_bind_either_kind() -> None:
    """Which one it is, is known only in the cluster."""
    reference = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "${schema.metadata.name}",
        "name": "x",
    }
    graph = _graph(
        _object("binding", "rbac.authorization.k8s.io/v1", "RoleBinding", roleRef=reference)
    )

    assert set(_verbs(grants_of(graph, "bind"))) == {
        "clusterroles.rbac.authorization.k8s.io",
        "roles.rbac.authorization.k8s.io",
    }


def test_needs_of_several_definitions_are_one_need_each() -> None:
    """With the reasons of all of them."""
    shop = _graph(configmap("a", name="${schema.metadata.name}"))
    store = _graph(_external("b", name="shared"), name="store", kind="Store")

    need = next(
        need for need in merged([*needs_of(shop), *needs_of(store)]) if str(need) == "configmaps"
    )

    assert need.verbs == WRITE
    assert reasons_of(need) == "written by shop (a); read by store (b)"


@pytest.mark.parametrize("allow", [True, False])
def test_crds_are_deleted_only_where_that_is_allowed(allow: bool) -> None:
    """The flag --allow-crd-deletion decides what kro needs for itself."""
    needs = _verbs(own_needs(allow_crd_deletion=allow))

    assert ("delete" in needs["customresourcedefinitions.apiextensions.k8s.io"]) is allow
    assert needs["graphrevisions/status.internal.kro.run"] == {"patch"}
