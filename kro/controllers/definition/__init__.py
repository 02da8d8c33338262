"""The definition pass: from a ResourceGraphDefinition to a served kind."""

from kro.controllers.definition.controller import (
    CLAIM_INDEX,
    DEFINITIONS,
    DefinitionController,
    DefinitionMetrics,
)
from kro.controllers.definition.crds import OWNER_INDEX, GeneratedCrds
from kro.controllers.definition.issuing import Issuer
from kro.controllers.definition.kind import GeneratedKind
from kro.controllers.definition.serving import ServedKinds

__all__ = [
    "CLAIM_INDEX",
    "DEFINITIONS",
    "OWNER_INDEX",
    "DefinitionController",
    "DefinitionMetrics",
    "GeneratedCrds",
    "GeneratedKind",
    "Issuer",
    "ServedKinds",
]
