"""Names of types, endpoints and objects. All are small, hashable and ordered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self, TypeAlias

JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"
JsonObject: TypeAlias = "dict[str, JsonValue]"


class GroupKind(NamedTuple):
    """A type across its versions."""

    group: str
    kind: str

    def __str__(self) -> str:
        """Return `kind.group`, as kubectl writes it."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


class GVK(NamedTuple):
    """The type of a manifest. The core group is the empty string."""

    group: str
    version: str
    kind: str

    @classmethod
    def of(cls, api_version: str, kind: str) -> Self:
        """Return the type that a manifest's `apiVersion` and `kind` name."""
        group, _, version = api_version.rpartition("/")
        return cls(group, version, kind)

    @classmethod
    def of_object(cls, manifest: Mapping[str, object]) -> Self:
        """Return the type of a manifest that is known to carry `apiVersion` and `kind`."""
        return cls.of(str(manifest["apiVersion"]), str(manifest["kind"]))

    @property
    def api_version(self) -> str:
        """The manifest's `apiVersion`: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_kind(self) -> GroupKind:
        """The type without its version."""
        return GroupKind(self.group, self.kind)

    def __str__(self) -> str:
        """Return `apps/v1, Kind=Deployment`."""
        return f"{self.api_version}, Kind={self.kind}"


class GVR(NamedTuple):
    """An endpoint of the API server: group, version and plural resource name."""

    group: str
    version: str
    resource: str

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """The URL prefix of the group version: `/api/v1`, `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def __str__(self) -> str:
        """Return `deployments.v1.apps`, as kubectl writes it."""
        return f"{self.resource}.{self.version}.{self.group}".rstrip(".")


class NamespacedName(NamedTuple):
    """Which object of a kind: the namespace is empty for cluster-scoped ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return `namespace/name`, or `name` alone for a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Mapped(NamedTuple):
    """Where the API server serves a kind: the REST mapping."""

    gvr: GVR
    namespaced: bool
