"""Pages of lists: decoded in pieces."""

from __future__ import annotations

import asyncio

import orjson

from kro.runtime.client.lists import decode_page
from kro.runtime.client.wire import decode_object


async def test_a_large_page_gives_the_loop_its_turns() -> None:
    """P-038, P-005: others run at least once for every 256 KiB that are decoded."""
    item = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"text": "x" * 4000}}
    body = orjson.dumps(
        {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": [item] * 500}
    )
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    page = await decode_page(body, decode_object)
    task.cancel()

    assert len(page.items) == 500
    assert turns >= len(body) / (256 * 1024)
