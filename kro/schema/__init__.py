"""SimpleSchema, OpenAPI schemas and where they come from, the generated CRD, compatibility."""

from kro.schema.admission import Validation, check_crd, check_spec_schema, validations
from kro.schema.bundled import BundledSchemas
from kro.schema.compat import (
    Change,
    Comparison,
    CompatibilityError,
    compare_schemas,
    compare_versions,
)
from kro.schema.crd import OBJECT_META, crd_gvk, crd_mapped, instance_schema, synthesize_crd
from kro.schema.lookup import ChainedSchemas, CrdSchemas, KnownSchemas, SchemaNotFound, Schemas
from kro.schema.manifests import definition_crd, revision_crd
from kro.schema.openapi import Document, resolve
from kro.schema.plural import plural
from kro.schema.simple import build_spec_schema, read_spec_schema
from kro.schema.suggest import nearest
from kro.schema.values import apply_defaults, unknown_fields, validate_value

__all__ = [
    "OBJECT_META",
    "BundledSchemas",
    "ChainedSchemas",
    "Change",
    "Comparison",
    "CompatibilityError",
    "CrdSchemas",
    "Document",
    "KnownSchemas",
    "SchemaNotFound",
    "Schemas",
    "Validation",
    "apply_defaults",
    "build_spec_schema",
    "check_crd",
    "check_spec_schema",
    "compare_schemas",
    "compare_versions",
    "crd_gvk",
    "crd_mapped",
    "definition_crd",
    "instance_schema",
    "nearest",
    "plural",
    "read_spec_schema",
    "resolve",
    "revision_crd",
    "synthesize_crd",
    "unknown_fields",
    "validate_value",
    "validations",
]
