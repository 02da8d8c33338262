"""What to do with the CRD of a definition: a pure decision over the installed and the wanted one.

Source: spec "API surface and operations" §3.5-§3.7; "graph and RGD controller" §7.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from kro import names
from kro.errors import KroError, Retry
from kro.refs import GVR, JsonObject, JsonValue
from kro.runtime import Stored
from kro.schema import CompatibilityError, compare_versions, plural

CRDS: Final = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")


class CrdRefusedError(KroError):
    """The installed CRD may not be written; only a change of it or of the definition helps."""

    reason = "Failed"
    retry = Retry.NEVER


@dataclass(frozen=True, slots=True)
class Create:
    """No CRD of that name exists: create this one."""

    body: JsonObject


@dataclass(frozen=True, slots=True)
class Patch:
    """The CRD is ours and differs: send this JSON merge patch."""

    body: JsonObject
    breaking: str = ""
    """Summary of the breaking changes that the definition's annotation permits."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The CRD is ours and says what it should."""


def with_ownership(crd: JsonObject, *, name: str, uid: str, version: str) -> JsonObject:
    """Return the CRD with kro's labels put over the author's: this definition owns it."""
    metadata = dict(_mapping(crd, "metadata"))
    metadata["labels"] = {
        **_mapping(metadata, "labels"),
        names.OWNED: "true",
        names.KRO_VERSION: names.label_safe_version(version),
        names.DEFINITION_ID: uid,
        names.DEFINITION_NAME: name,
    }
    return {**crd, "metadata": cast("JsonValue", metadata)}


def is_owned(crd: Mapping[str, JsonValue]) -> bool:
    """Whether kro may write this CRD: it says so itself, by either of two labels."""
    labels = _mapping(_mapping(crd, "metadata"), "labels")
    if names.OWNED in labels:
        return labels[names.OWNED] == "true"
    return labels.get(names.MANAGED_BY) == names.MANAGED_BY_KRO


def owner_of(crd: Mapping[str, JsonValue]) -> str:
    """Return the name of the definition that owns the CRD, or nothing."""
    return str(_mapping(_mapping(crd, "metadata"), "labels").get(names.DEFINITION_NAME, ""))


def crd_name(definition: Mapping[str, JsonValue]) -> str:
    """Return the name of the CRD that a definition generates, or nothing where it names no kind."""
    schema = _mapping(_mapping(definition, "spec"), "schema")
    kind, group = schema.get("kind"), schema.get("group") or names.KRO_GROUP
    return f"{plural(kind)}.{group}" if isinstance(kind, str) and kind else ""


def claimed_crd(stored: Stored) -> str | None:
    """Return the index key of a definition: the CRD that it wants, whoever has it."""
    return crd_name(stored.object()) or None


def is_terminating(crd: Mapping[str, JsonValue]) -> bool:
    """Whether the CRD is being deleted."""
    return "deletionTimestamp" in _mapping(crd, "metadata")


def is_established(crd: Mapping[str, JsonValue]) -> bool:
    """Whether the API server serves the kind."""
    return _condition(crd, "Established").get("status") == "True"


def names_conflict(crd: Mapping[str, JsonValue]) -> str:
    """Return why the API server refuses the CRD's names, or nothing."""
    condition = _condition(crd, "NamesAccepted")
    return str(condition.get("message", "")) if condition.get("status") == "False" else ""


def accepted_kind(crd: Mapping[str, JsonValue]) -> str:
    """Return the kind that the API server has accepted."""
    return str(_mapping(_mapping(crd, "status"), "acceptedNames").get("kind", ""))


def plan(
    installed: JsonObject | None, wanted: JsonObject, *, allow_breaking: bool
) -> Create | Patch | Unchanged:
    """Decide how `wanted` (with ownership labels) becomes true.

    Everything that differs is written, also what the compatibility verdicts do not look at
    (validations, map value types, printer columns, labels): they judge, they do not detect.

    Raises:
        CrdRefusedError: the CRD is somebody else's, another definition's, cannot be compared, or
            the change would break stored instances and is not permitted.
    """
    if installed is None:
        return Create(wanted)
    name = str(_mapping(wanted, "metadata")["name"])
    if not is_owned(installed):
        raise CrdRefusedError(
            f"failed to update CRD {name}: CRD already exists and is not owned by KRO; "
            f"label it {names.OWNED}=true and {names.DEFINITION_NAME}={owner_of(wanted)} "
            "to hand it over"
        )
    if owner_of(installed) != owner_of(wanted):
        raise CrdRefusedError(
            f"failed to update CRD {name}: CRD is owned by another "
            f"ResourceGraphDefinition {owner_of(installed)}"
        )
    installed_spec, wanted_spec = _mapping(installed, "spec"), _mapping(wanted, "spec")
    try:
        comparison = compare_versions(
            cast("list[JsonObject]", installed_spec.get("versions", [])),
            cast("list[JsonObject]", wanted_spec["versions"]),
        )
    except CompatibilityError as error:
        raise CrdRefusedError(f"failed to check schema compatibility: {error}") from error
    if comparison.breaking and not allow_breaking:
        raise CrdRefusedError(
            f"cannot update CRD {name}: breaking changes detected: {comparison.summary()}; "
            f'the annotation {names.ALLOW_BREAKING_CHANGES}: "true" on the definition permits them'
        )
    body = _merge_patch(installed, wanted)
    if not body:
        return Unchanged()
    return Patch(body, breaking=comparison.summary() if comparison.breaking else "")


def _merge_patch(installed: JsonObject, wanted: JsonObject) -> JsonObject:
    """Return what must be merged into `installed`, or nothing where it holds all of `wanted`.

    Labels and annotations of others stay; those that a definition dropped stay too.
    """
    body: JsonObject = {}
    metadata: JsonObject = {}
    for key in ("labels", "annotations"):
        have = _mapping(_mapping(installed, "metadata"), key)
        changed = {
            name: value
            for name, value in _mapping(_mapping(wanted, "metadata"), key).items()
            if have.get(name) != value
        }
        if changed:
            metadata[key] = changed
    if metadata:
        body["metadata"] = metadata
    have, want = _mapping(installed, "spec"), _mapping(wanted, "spec")
    have_names = dict(_mapping(have, "names"))
    want_names: JsonObject = {"shortNames": None, "categories": None, **_mapping(want, "names")}
    same_names = all((have_names.get(key) or None) == value for key, value in want_names.items())
    same = same_names and have.get("scope") == want["scope"]
    if not same or not _same_versions(have.get("versions"), want["versions"]):
        body["spec"] = {
            "group": want["group"],
            "names": want_names,
            "scope": want["scope"],
            "versions": want["versions"],
        }
    return body


_DATA: Final = frozenset({"default", "enum", "example"})
"""Keywords of a schema whose value is data of an author: compared as it stands."""


def _same_versions(have: JsonValue, want: JsonValue) -> bool:
    """Whether two version lists mean the same: numbers by value, `required` as a set."""
    return _normal(have) == _normal(want)


def _normal(value: JsonValue, *, names_fields: bool = False) -> object:
    """Return a value that equals another one's when both mean the same to the API server.

    Args:
        names_fields: the keys of this mapping are an author's field names and no keywords.
    """
    if isinstance(value, dict):
        return {
            key: (
                frozenset(cast("list[str]", part))
                if key == "required" and not names_fields and _is_texts(part)
                else _exact(part)
                if key in _DATA and not names_fields
                else _normal(part, names_fields=key == "properties" and not names_fields)
            )
            for key, part in value.items()
            if names_fields or not _means_nothing(key, part)
        }
    if isinstance(value, list):
        return [_normal(part) for part in value]
    return _exact(value)


def _means_nothing(key: str, part: JsonValue) -> bool:
    """Whether the API server adds or drops this key of a schema or version at will."""
    match key:
        case "required" | "properties":
            return part in ([], {})
        case "priority":
            return part == 0
        case "default":
            return part is None
    return False


def _is_texts(value: JsonValue) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _exact(value: JsonValue) -> object:
    """Return the value with truth and numbers told apart: in Python, True equals 1."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return {key: _exact(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_exact(part) for part in value]
    return value


def _condition(crd: Mapping[str, JsonValue], kind: str) -> Mapping[str, JsonValue]:
    conditions = _mapping(crd, "status").get("conditions")
    if isinstance(conditions, list):
        for condition in conditions:
            if isinstance(condition, dict) and condition.get("type") == kind:
                return condition
    return {}


def _mapping(parent: Mapping[str, JsonValue], key: str) -> Mapping[str, JsonValue]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}
