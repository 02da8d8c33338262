"""Generated CRDs meet the real judge: what our checks let through, the API server accepts.

And the other way round: what they refuse, it refuses, so no author is turned away for nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from kro.errors import AuthorErrors
from kro.refs import GVK, GVR, JsonObject
from kro.runtime.client import Client, InvalidError, Transport, load_config
from kro.schema import (
    BundledSchemas,
    Document,
    build_spec_schema,
    check_crd,
    check_spec_schema,
    synthesize_crd,
)
from support.simpleschema import Author

CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")
RANDOM_SCHEMAS = 400


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    """A client of the administrator."""
    client = Client(Transport(load_config(str(kubeconfig)), user_agent="kro/test"))
    try:
        yield client
    finally:
        await client.aclose()


async def refusal(client: Client, crd: JsonObject) -> str:
    """Return why the API server does not take a CRD, or an empty text."""
    try:
        await client.create(CRDS, crd, dry_run=True)
    except InvalidError as error:
        return str(error)
    return ""


def crd_of(spec: JsonObject, types: JsonObject, kind: str) -> JsonObject:
    """Return the CRD of a definition with these documents."""
    schema: JsonObject = {
        "apiVersion": "v1alpha1",
        "kind": kind,
        "group": "random.example.com",
        "scope": "Namespaced",
    }
    return synthesize_crd(schema, build_spec_schema(spec, types), None)


@pytest.mark.parametrize("careless", [0.0, 0.5])
async def test_our_checks_and_the_api_server_agree(client: Client, careless: float) -> None:
    """A random schema passes our checks exactly if the API server accepts its CRD."""
    accepted = refused = unbuilt = 0
    disagreements = []

    for seed in range(RANDOM_SCHEMAS):
        spec, types = Author(seed, careless=careless).documents()
        try:
            crd = crd_of(spec, types, f"Random{seed}")
        except AuthorErrors:
            unbuilt += 1  # two list markers of a type and of its use may contradict each other
            continue
        ours = [*check_spec_schema(spec, build_spec_schema(spec, types)), *check_crd(crd)]
        theirs = await refusal(client, crd)
        if bool(ours) != bool(theirs):
            disagreements.append((seed, spec, types, [str(error) for error in ours], theirs))
        accepted += not theirs
        refused += bool(theirs)

    assert not disagreements[:3]
    assert accepted >= RANDOM_SCHEMAS // 4
    assert refused
    assert unbuilt < RANDOM_SCHEMAS // 10


@pytest.mark.parametrize(
    ("kind", "group", "extra"),
    [
        pytest.param("Thing", "nodots", {}, id="group without a dot"),
        pytest.param("Thing", "Upper.example.com", {}, id="group in upper case"),
        pytest.param("Thing", "x.k8s.io", {}, id="group of the community"),
        pytest.param("A" * 60, "x.example.com", {}, id="list kind too long"),
        pytest.param(
            "Thing",
            "x.example.com",
            {"additionalPrinterColumns": [{"name": "A", "type": "text", "jsonPath": ".a"}]},
            id="column of an unknown type",
        ),
        pytest.param(
            "Thing",
            "x.example.com",
            {"additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": "a"}]},
            id="column path without a dot",
        ),
        pytest.param(
            "Thing",
            "x.example.com",
            {
                "additionalPrinterColumns": [
                    {"name": "A", "type": "string", "jsonPath": ".a", "format": "email"}
                ]
            },
            id="column of an unknown format",
        ),
        pytest.param(
            "Thing", "x.example.com", {"metadata": {"labels": {"a b": "c"}}}, id="bad label key"
        ),
        pytest.param(
            "Thing", "x.example.com", {"metadata": {"labels": {"a": "-c"}}}, id="bad label value"
        ),
        pytest.param(
            "Thing",
            "x.example.com",
            {"metadata": {"annotations": {"A/b/c": "c"}}},
            id="bad annotation key",
        ),
        pytest.param("Thing", "x.example.com", {"shortNames": ["A"]}, id="bad short name"),
        pytest.param("Thing", "x.example.com", {"apiVersion": "V1"}, id="bad version"),
    ],
)
async def test_bad_names_are_refused_on_both_sides(
    client: Client, kind: str, group: str, extra: JsonObject
) -> None:
    """What `check_crd` refuses would fail only when the CRD is written."""
    schema: JsonObject = {"apiVersion": "v1", "kind": kind, "group": group, **extra}
    crd = synthesize_crd(schema, {"type": "object"}, None)

    ours = check_crd(crd)
    theirs = await refusal(client, crd)

    assert ours, theirs
    assert theirs
    assert all(error.path.startswith("spec.schema.") for error in ours)


async def test_bundled_schemas_equal_the_servers(client: Client) -> None:
    """A graph built offline is the graph that the controller builds on the same Kubernetes."""
    bundled = BundledSchemas()
    version = orjson.loads(await client.read("/version"))["gitVersion"]
    if version != bundled.kubernetes_version:
        pytest.skip(f"the server is {version}, the bundle {bundled.kubernetes_version}")
    by_version: dict[str, list[GVK]] = {}
    for gvk in bundled.kinds():
        by_version.setdefault(gvk.api_version, []).append(gvk)

    for api_version, kinds in by_version.items():
        path = f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"
        served = Document(orjson.loads(await client.read(f"/openapi/v3/{path}")))
        for gvk in kinds:
            assert bundled.schema(gvk) == served.kind(gvk), gvk
