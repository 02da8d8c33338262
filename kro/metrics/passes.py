"""What the passes over instances, definitions and revisions report, under the catalogue's names.

Each class fulfils a Protocol that `kro.controllers` declares.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from kro.metrics import Metrics
from kro.metrics.labels import kind_label, resource_label
from kro.refs import GVK, GVR, JsonObject, NamespacedName

GONE_DEFINITIONS: Final = 100
"""So many definitions keep their series after they are gone, so that a scrape sees their end."""


class InstanceRecorder:
    """The passes over the instances of one generated kind."""

    def __init__(self, metrics: Metrics, gvk: GVK, gvr: GVR) -> None:
        self._metrics = metrics
        self._kind, self._resource = kind_label(gvk), resource_label(gvr)
        self._passes = metrics.instance_passes.labels(self._resource)
        self._duration = metrics.instance_duration.labels(self._resource)
        self._errors = metrics.instance_errors.labels(self._resource)
        self._resolved = metrics.resolutions.labels(self._resource)
        self._pending = metrics.resolutions_pending.labels(self._resource)

    def graph_resolved(self, gvr: GVR) -> None:
        """Count a pass with a graph."""
        self._resolved.inc()

    def graph_unavailable(self, gvr: GVR, reason: str) -> None:
        """Count a pass without one."""
        if reason == "pending":
            self._pending.inc()
        else:
            self._metrics.resolution_failures.labels(self._resource, reason).inc()

    def passed(self, gvr: GVR, duration_s: float, *, failed: bool) -> None:
        """Count a pass."""
        self._passes.inc()
        self._duration.observe(duration_s)
        if failed:
            self._errors.inc()

    def state_changed(self, gvk: GVK, before: str, after: str) -> None:
        """Count a change of state."""
        self._metrics.instance_transitions.labels(self._kind, before, after).inc()

    def conditions_persisted(
        self, gvr: GVR, name: NamespacedName, conditions: list[JsonObject]
    ) -> None:
        """Show how long each condition has been so."""
        self._metrics.condition_ages.show(self._resource, name, conditions)


class SchemaRecorder:
    """The schemas of kinds, kept and fetched."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def looked_up(self, *, known: bool) -> None:
        """Count a look-up."""
        (self._metrics.schema_hits if known else self._metrics.schema_misses).inc()

    def fetched(self, duration_s: float, *, failed: bool) -> None:
        """Count a fetch."""
        self._metrics.schema_fetch_duration.observe(duration_s)
        if failed:
            self._metrics.schema_errors.inc()

    def shared(self) -> None:
        """Count a fetch that was spared by another one of the same kind."""
        self._metrics.schema_fetches_shared.inc()

    def kept(self, schemas: int, *, evicted: int = 0) -> None:
        """Show how many schemas there are, and count what was dropped."""
        self._metrics.schemas_kept.set(schemas)
        self._metrics.schema_evictions.inc(evicted)


class DefinitionRecorder:
    """The passes over definitions."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._gone: OrderedDict[str, None] = OrderedDict()

    def gone(self, definition: str) -> None:
        """Keep the series of a definition that is gone for a while, and then drop them."""
        self._gone[definition] = None
        self._gone.move_to_end(definition)
        while len(self._gone) > GONE_DEFINITIONS:
            self._metrics.forget_definition(self._gone.popitem(last=False)[0])

    def built(self, definition: str, duration_s: float, *, failed: bool) -> None:
        """Count a build."""
        self._gone.pop(definition, None)
        self._metrics.builds.labels(definition).inc()
        self._metrics.build_duration.labels(definition).observe(duration_s)
        if failed:
            self._metrics.build_errors.labels(definition).inc()

    def moved(self, definition: str, *, before: str, after: str) -> None:
        """Count a change of state."""
        self._gone.pop(definition, None)
        self._metrics.definition_transitions.labels(definition, before, after).inc()

    def deleted(self, definition: str, *, duration_s: float) -> None:
        """Count a deletion."""
        self._metrics.definition_deletions.labels(definition).inc()
        self._metrics.definition_deletion_duration.labels(definition).observe(duration_s)

    def issued(self, reason: str) -> None:
        """Count an issued revision."""
        self._metrics.revisions_issued.labels(reason).inc()

    def waited(self, reason: str) -> None:
        """Count a wait for a revision."""
        self._metrics.revision_waits.labels(reason).inc()
        if reason == "warming_up":
            self._metrics.registry_misses.labels("latest_not_warmed").inc()

    def resolved(self, result: str) -> None:
        """Count what a pass found to do."""
        self._metrics.revision_resolutions.labels(result).inc()

    def collected(self, *, failed: bool) -> None:
        """Count what retention did."""
        (self._metrics.retention_errors if failed else self._metrics.retention_deleted).inc()


class RevisionRecorder:
    """The passes over revisions, and the compiled ones."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def compiled(self, duration_s: float, *, failed: bool) -> None:
        """Count a compilation."""
        result = "failed" if failed else "success"
        self._metrics.compilations.labels(result).inc()
        self._metrics.compilation_duration.labels(result).observe(duration_s)

    def status_failed(self, *, compiled: bool) -> None:
        """Count a status that could not be written."""
        self._metrics.revision_status_errors.inc()
        if compiled:
            self._metrics.activations_deferred.inc()

    def evicted(self) -> None:
        """Count a finalizer that was taken off."""
        self._metrics.finalizer_evictions.inc()

    def moved(self, before: str | None, after: str | None) -> None:
        """Count a change of an entry in the registry of compiled revisions."""
        m = self._metrics
        if before is not None:
            m.registry_entries.labels(before).dec()
        if after is not None:
            m.registry_entries.labels(after).inc()
        if before is not None and after is not None and before != after:
            m.registry_transitions.labels(before, after).inc()
        if after is None:
            m.registry_evictions.inc()
