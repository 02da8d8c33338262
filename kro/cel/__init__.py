"""CEL: parse, check, compile, evaluate. What other packages use of it is exported here."""

from kro.cel.assign import accepts, is_bool_result
from kro.cel.celtypes import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    CelType,
    Kind,
    list_of,
    map_of,
    opaque,
    optional_of,
    struct,
)
from kro.cel.environment import Environment
from kro.cel.expression import Expression, NativeValue, Pending, Step
from kro.cel.fieldnames import escape_field
from kro.cel.library import CONDITION, RUNTIME, RUNTIME_VALUE, Condition
from kro.cel.references import ConditionRead, NewCondition, References
from kro.cel.schema_types import schema_type
from kro.cel.source import Match, Template, is_standalone, parse_template, scan
from kro.cel.syntax import Ast
from kro.cel.values import OMIT, Omit
from kro.cel.wrapped import wrap

__all__ = [
    "BOOL",
    "BYTES",
    "CONDITION",
    "DOUBLE",
    "DURATION",
    "DYN",
    "INT",
    "NULL",
    "OMIT",
    "RUNTIME",
    "RUNTIME_VALUE",
    "STRING",
    "TIMESTAMP",
    "UINT",
    "Ast",
    "CelType",
    "Condition",
    "ConditionRead",
    "Environment",
    "Expression",
    "Kind",
    "Match",
    "NativeValue",
    "NewCondition",
    "Omit",
    "Pending",
    "References",
    "Step",
    "Template",
    "accepts",
    "escape_field",
    "is_bool_result",
    "is_standalone",
    "list_of",
    "map_of",
    "opaque",
    "optional_of",
    "parse_template",
    "scan",
    "schema_type",
    "struct",
    "wrap",
]
