"""A lab for each test: its own group and namespaces, served by the session's controller."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from support.kube import Kube
from support.lab import Lab
from support.operator import Surroundings


@pytest_asyncio.fixture
async def lab(operator: Surroundings, kube: Kube) -> AsyncIterator[Lab]:
    """A lab on the shared cluster; its definitions go with it."""
    opened = await Lab.opened(kube)
    yield opened
    await opened.close()
