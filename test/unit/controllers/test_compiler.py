"""A spec is compiled once against one state of the cluster's kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

from kro.controllers.compiler import Compiler
from kro.controllers.kinds import Fetched, Kinds
from kro.graph import Gates, Limits
from kro.refs import GVK, JsonObject
from kro.schema import BundledSchemas, KnownSchemas
from support.generated import greeter

CONFIGMAP = GVK("", "v1", "ConfigMap")


class _Served:
    """The kinds of a cluster; `version` stands for all that may change about them."""

    def __init__(self) -> None:
        self.version = "1"
        self._all = BundledSchemas()

    async def fetch(self, kinds: Iterable[GVK]) -> Fetched:
        wanted = tuple(kinds)
        found = [kind for kind in wanted if kind == CONFIGMAP]
        schemas = KnownSchemas(
            {kind: self._all.schema(kind) for kind in found},
            {kind: self._all.mapping(kind) for kind in found},
        )
        fingerprint = tuple((kind, self.version) for kind in wanted)
        return Fetched(schemas, fingerprint, frozenset(wanted) - frozenset(found))


def _compiler() -> tuple[Compiler, _Served]:
    served = _Served()
    return Compiler(kinds=cast("Kinds", served), limits=Limits(), gates=Gates()), served


def _spec(text: str = "a") -> JsonObject:
    spec: JsonObject = greeter("Shop", text=text)["spec"]
    return spec


async def test_what_was_checked_is_not_built_again_for_the_revision() -> None:
    """Equal content and equal kinds: the very same graph, also for two who ask at once."""
    compiler, _ = _compiler()

    one, other = await asyncio.gather(
        compiler.compile("shop", _spec()), compiler.compile("shop", _spec())
    )
    later = await compiler.compile("shop", _spec())

    assert one.graph is not None
    assert one.graph is other.graph is later.graph


async def test_another_state_of_the_kinds_is_another_build() -> None:
    """A kind that changed may make a right spec wrong, and the other way round."""
    compiler, served = _compiler()
    before = await compiler.compile("shop", _spec())

    served.version = "2"

    assert (await compiler.compile("shop", _spec())).graph is not before.graph


async def test_the_current_spec_and_the_latest_revision_are_both_remembered() -> None:
    """A definition whose edit is refused is asked for both in turn, by every event of its CRD."""
    compiler, _ = _compiler()
    latest = await compiler.compile("shop", _spec())

    refused = await compiler.compile("shop", _spec("${nothing}"))

    assert (await compiler.compile("shop", _spec())).graph is latest.graph
    assert (await compiler.compile("shop", _spec("${nothing}"))) is refused


async def test_errors_are_results_too_and_hold_no_frames() -> None:
    """A traceback would keep all that the build had in hand."""
    compiler, _ = _compiler()

    wrong = await compiler.compile("shop", _spec("${nothing}"))

    assert wrong.graph is None
    assert wrong.errors is not None
    assert "nothing" in str(wrong.errors)
    assert [e.__traceback__ for e in (wrong.errors, *wrong.errors.exceptions)] == [None, None]


async def test_kinds_that_are_not_served_are_named() -> None:
    """Whoever waits for them knows that only the cluster can help."""
    compiler, _ = _compiler()
    spec = _spec()
    resources = spec["resources"]
    assert isinstance(resources, list)
    bucket: JsonObject = {
        "id": "bucket",
        "template": {"apiVersion": "a.io/v1", "kind": "Bucket", "metadata": {"name": "b"}},
    }
    resources.append(bucket)

    missing = await compiler.compile("shop", spec)

    assert missing.graph is None
    assert missing.missing == {GVK("a.io", "v1", "Bucket")}


async def test_no_spec_at_all_is_an_authors_error() -> None:
    """Q17: nothing is dereferenced that is not there."""
    compiler, _ = _compiler()

    assert (await compiler.compile("shop", None)).errors is not None
