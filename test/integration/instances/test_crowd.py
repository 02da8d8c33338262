"""A hundred instances at once; `hack/bench scale` does the same with a thousand.

Source: spec controller-runtime.md §3.5.
"""

from __future__ import annotations

from support.crowd import SOLO, Crowd, definition
from support.kube import CONFIGMAPS, SECRETS
from support.lab import Lab

COUNT = 100
SOON_S = 10.0
"""The aim is one second; a machine that is busy with other tests is given time."""


async def test_a_hundred_instances_come_change_and_go(lab: Lab) -> None:
    """None is ever in error or left behind, and one of another kind has not to wait for them."""
    await lab.define(definition("one"))
    await lab.define(SOLO)
    crowd = Crowd(lab, COUNT)
    took: list[float] = []

    async def meanwhile() -> None:
        took.append(await crowd.solo())

    await crowd.create(halfway=meanwhile)
    assert took[0] < SOON_S
    assert len(await lab.cms()) == 4 * COUNT + 1
    await crowd.edit("two")
    assert {cm["data"]["v"] for name, cm in (await lab.cms()).items() if "-" in name} == {"two"}
    await crowd.delete()
    assert sorted(await lab.cms()) == ["solo"]
    page = await lab.kube.client.list(SECRETS, namespace=lab.namespace)
    assert page.items == []
    assert crowd.errors == []
    assert await lab.kube.get(CONFIGMAPS, "solo", lab.namespace)
