"""The bound on one evaluation's work, so that no expression can hang or fill the memory.

One evaluation may spend `LIMIT` units. Units are spent where work multiplies: one per element that
a comprehension visits, per element or character that a function or `+` copies, per node that is
compared, converted or formatted. Whoever builds something that is larger than its arguments calls
`charge` *before* building it.

The limit is far above what definitions need (the largest object an API server stores has about
1.5 million characters), and spending it all takes a few seconds.
"""

from __future__ import annotations

import threading
from typing import Final

from kro.cel.failures import BudgetExceeded

LIMIT: Final = 5_000_000
"""Units of one evaluation."""


class _Account(threading.local):
    left: int = LIMIT


_account: Final = _Account()


def restart(limit: int = LIMIT) -> None:
    """Let the evaluation that starts now on this thread spend `limit` units."""
    _account.left = limit


def charge(units: int) -> None:
    """Spend `units` of the evaluation that runs on this thread.

    Raises:
        BudgetExceeded: it has spent more than it may.
    """
    _account.left = left = _account.left - units
    if left < 0:
        raise BudgetExceeded(f"the expression exceeds its evaluation budget of {LIMIT} units")
