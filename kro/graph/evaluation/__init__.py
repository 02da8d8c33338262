"""One pass over one instance, as a pure computation: what to do next, and what it came to."""

from kro.graph.evaluation.conditions import Declared, evaluate_conditions, stamp
from kro.graph.evaluation.frame import Decorate, Frame, undecorated
from kro.graph.evaluation.meter import UNMETERED, Meter
from kro.graph.evaluation.outcome import (
    InstanceState,
    NodeState,
    Outcome,
    Projection,
    Verdict,
    state_of,
)
from kro.graph.evaluation.projection import project
from kro.graph.evaluation.resolve import wire_number
from kro.graph.evaluation.steps import (
    Answer,
    Applied,
    Apply,
    Fetch,
    Found,
    Look,
    Looked,
    Refused,
    Seen,
    Select,
    Step,
    Target,
    Unreadable,
    is_terminating,
)
from kro.graph.evaluation.texts import gvk_text, gvr_text, name_of, object_text, quoted

__all__ = [
    "UNMETERED",
    "Answer",
    "Applied",
    "Apply",
    "Declared",
    "Decorate",
    "Fetch",
    "Found",
    "Frame",
    "InstanceState",
    "Look",
    "Looked",
    "Meter",
    "NodeState",
    "Outcome",
    "Projection",
    "Refused",
    "Seen",
    "Select",
    "Step",
    "Target",
    "Unreadable",
    "Verdict",
    "evaluate_conditions",
    "gvk_text",
    "gvr_text",
    "is_terminating",
    "name_of",
    "object_text",
    "project",
    "quoted",
    "stamp",
    "state_of",
    "undecorated",
    "wire_number",
]
