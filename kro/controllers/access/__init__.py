"""What the controller must be allowed to do, computed from graphs alone."""

from kro.controllers.access.needs import (
    Need,
    grants_of,
    merged,
    needs_of,
    own_needs,
    owner_needs_of,
    reasons_of,
)
from kro.controllers.access.rules import Rule, cluster_role, denial, rules_of

__all__ = [
    "Need",
    "Rule",
    "cluster_role",
    "denial",
    "grants_of",
    "merged",
    "needs_of",
    "own_needs",
    "owner_needs_of",
    "reasons_of",
    "rules_of",
]
