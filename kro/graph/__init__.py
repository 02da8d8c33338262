"""From a definition to a compiled graph; all of it pure."""

from kro.graph import fieldpath
from kro.graph.build import build
from kro.graph.definition import required_kinds
from kro.graph.fieldpath import FieldPath, FieldPathError
from kro.graph.node import (
    INSTANCE_ID,
    Dimension,
    FieldKind,
    Gates,
    Graph,
    InstanceNode,
    Limits,
    Node,
    NodeKind,
    TemplateField,
)
from kro.graph.revision import canonical, revision_name, spec_hash

__all__ = [
    "INSTANCE_ID",
    "Dimension",
    "FieldKind",
    "FieldPath",
    "FieldPathError",
    "Gates",
    "Graph",
    "InstanceNode",
    "Limits",
    "Node",
    "NodeKind",
    "TemplateField",
    "build",
    "canonical",
    "fieldpath",
    "required_kinds",
    "revision_name",
    "spec_hash",
]
