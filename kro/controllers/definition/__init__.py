"""The definition pass: from a ResourceGraphDefinition to a served kind."""

from kro.controllers.definition.controller import (
    DEFINITIONS,
    OWNER_INDEX,
    DefinitionController,
    DefinitionMetrics,
)
from kro.controllers.definition.serving import ServedKinds

__all__ = [
    "DEFINITIONS",
    "OWNER_INDEX",
    "DefinitionController",
    "DefinitionMetrics",
    "ServedKinds",
]
