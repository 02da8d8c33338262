"""GraphRevisions: specs that were frozen, and the graphs compiled from them."""

from kro.controllers.revision.compiled import CompiledRevisions, Entry, State
from kro.controllers.revision.controller import RevisionController, RevisionMetrics
from kro.controllers.revision.objects import (
    REVISIONS,
    SNAPSHOT_INDEX,
    Family,
    adopted,
    definition_of,
    name_of,
    new_revision,
    number_of,
    snapshot_name,
    spec_of,
    uid_of,
)

__all__ = [
    "REVISIONS",
    "SNAPSHOT_INDEX",
    "CompiledRevisions",
    "Entry",
    "Family",
    "RevisionController",
    "RevisionMetrics",
    "State",
    "adopted",
    "definition_of",
    "name_of",
    "new_revision",
    "number_of",
    "snapshot_name",
    "spec_of",
    "uid_of",
]
