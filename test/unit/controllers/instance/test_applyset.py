"""The identity and the inventory of an apply set."""

from __future__ import annotations

import pytest

from kro import names
from kro.controllers.instance.applyset import (
    Inventory,
    InventoryError,
    applyset_id,
    carried,
    recorded,
    trusted,
)
from kro.refs import GroupKind, JsonObject, NamespacedName

SHOP = NamespacedName("team-a", "shop")
WEB_SHOP = GroupKind("kro.run", "WebShop")
SHOP_ID = "applyset-xeYSLxbacMuhDHomCVJQVGtdmf-VfzCgWd9km3Mz7Js-v1"
MEMBERS = Inventory(
    frozenset(
        {GroupKind("", "Service"), GroupKind("apps", "Deployment"), GroupKind("", "ConfigMap")}
    ),
    frozenset({"shared"}),
)


def parent(**annotations: str) -> JsonObject:
    """Return an instance with the inventory MEMBERS, and annotations changed as given."""
    noted = {**MEMBERS.annotations(SHOP_ID, "1.2.3"), **annotations}
    return {
        "metadata": {
            "name": "shop",
            "labels": {names.APPLYSET_ID: SHOP_ID},
            "annotations": {key: text for key, text in noted.items() if text != "-"},
        }
    }


@pytest.mark.parametrize(
    ("name", "group_kind", "expected"),
    [
        pytest.param(SHOP, WEB_SHOP, SHOP_ID, id="namespaced"),
        pytest.param(
            NamespacedName("", "policy"),
            GroupKind("kro.run", "ClusterPolicy"),
            "applyset-ZX1fb0HpgBU0yNBnpfsq8Q1Vfyi_mlJ7BxU7Z-4mKJY-v1",
            id="cluster-scoped",
        ),
        pytest.param(
            NamespacedName("team-a", "my-shop"),
            GroupKind("kro.run", "Storefront"),
            "applyset-f9t8is_jSsBvCI9yqsc3gv-lNiP-N697etngIZDOdeo-v1",
            id="another name",
        ),
    ],
)
def test_id_follows_from_name_namespace_kind_and_group(
    name: NamespacedName, group_kind: GroupKind, expected: str
) -> None:
    """The id is the one of KEP-3659, so that other tools and versions find the same set."""
    assert applyset_id(name, group_kind) == expected


def test_annotations_record_sorted_kinds_namespaces_and_their_hash() -> None:
    """The hash covers id, kinds and namespaces exactly as earlier versions computed it."""
    assert MEMBERS.annotations(SHOP_ID, "1.2.3") == {
        names.APPLYSET_TOOLING: "kro/1.2.3",
        names.APPLYSET_GROUP_KINDS: "ConfigMap,Deployment.apps,Service",
        names.APPLYSET_NAMESPACES: "shared",
        names.APPLYSET_INVENTORY_HASH: "sha256:S9xTv_Ml2N34hlw7X7GF2_h_-nmiRmiPacgE0KFO898",
    }
    empty = Inventory().annotations(SHOP_ID, "1.2.3")
    assert (
        empty[names.APPLYSET_INVENTORY_HASH] == "sha256:zCufuXwTWFexmueL-_l8ItRPEhz1XlegMcSBcOkF6vw"
    )


def test_recorded_inventory_reads_back() -> None:
    """What is written can be read; an instance without annotations records nothing."""
    assert recorded(parent()) == MEMBERS
    assert recorded({"metadata": {"name": "x"}}) == Inventory()
    assert trusted(parent(), SHOP_ID) == MEMBERS


def test_parent_without_hash_is_trusted() -> None:
    """Parents written by older versions have no hash."""
    assert trusted(parent(**{names.APPLYSET_INVENTORY_HASH: "-"}), SHOP_ID) == MEMBERS


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        pytest.param({names.APPLYSET_GROUP_KINDS: "A,,B"}, "is empty", id="empty entry"),
        pytest.param({names.APPLYSET_GROUP_KINDS: ".apps"}, "has no kind", id="no kind"),
        pytest.param({names.APPLYSET_GROUP_KINDS: "A.Bad_"}, "is not a group", id="bad group"),
        pytest.param({names.APPLYSET_NAMESPACES: "Up"}, "is not a namespace", id="bad namespace"),
    ],
)
def test_unreadable_inventory_names_the_annotation(
    annotations: dict[str, str], problem: str
) -> None:
    """An inventory that cannot be read is never taken for an empty one."""
    with pytest.raises(InventoryError, match=problem) as caught:
        recorded(parent(**annotations))
    assert next(iter(annotations)) in str(caught.value)


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        pytest.param(
            {names.APPLYSET_TOOLING: "-"},
            "missing required applyset.kubernetes.io/tooling annotation",
            id="no tooling",
        ),
        pytest.param(
            {names.APPLYSET_TOOLING: "helm/3"},
            "invalid applyset.kubernetes.io/tooling annotation",
            id="tooling of others",
        ),
        pytest.param(
            {names.APPLYSET_NAMESPACES: "-"},
            "missing required applyset.kubernetes.io/additional-namespaces annotation",
            id="no namespaces",
        ),
        pytest.param(
            {names.APPLYSET_GROUP_KINDS: "ConfigMap"},
            "invalid internal.kro.run/applyset-inventory-hash annotation",
            id="kinds taken away",
        ),
    ],
)
def test_tampered_inventory_is_not_trusted(annotations: dict[str, str], problem: str) -> None:
    """Deleting from a shortened inventory would orphan members."""
    with pytest.raises(InventoryError, match=problem):
        trusted(parent(**annotations), SHOP_ID)


def test_foreign_id_is_not_trusted() -> None:
    """The id label must be the one that follows from the instance's name."""
    with pytest.raises(
        InventoryError, match=r"invalid applyset\.kubernetes\.io/id label: got .x., want .applyset-"
    ):
        trusted({"metadata": {"name": "shop", "labels": {names.APPLYSET_ID: "x"}}}, SHOP_ID)


def test_carried_keeps_exactly_what_is_there() -> None:
    """A later write of labels takes the inventory along as it stands, right or wrong."""
    live = parent(**{names.APPLYSET_INVENTORY_HASH: "-", names.APPLYSET_GROUP_KINDS: "A,,B"})
    labels, annotations = carried(live)
    assert labels == {names.APPLYSET_ID: SHOP_ID}
    assert annotations == {
        names.APPLYSET_TOOLING: "kro/1.2.3",
        names.APPLYSET_GROUP_KINDS: "A,,B",
        names.APPLYSET_NAMESPACES: "shared",
    }
