"""How specs become revisions: issued under the next number, adopted, and let go of.

Source: spec "graph and RGD controller" §6.2-§6.4, §6.10, §7.3.
"""

from __future__ import annotations

from typing import Final, Protocol

from kro import __version__, names
from kro.controllers.revision import (
    REVISIONS,
    SNAPSHOT_INDEX,
    Family,
    adopted,
    definition_of,
    name_of,
    new_revision,
    number_of,
    uid_of,
)
from kro.errors import ClusterError
from kro.logs import get_logger
from kro.refs import JsonObject, NamespacedName
from kro.runtime import Informed
from kro.runtime.client import AlreadyExistsError, Client, NotFoundError

NAME_LIMIT: Final = 63
"""Longest name of a definition that can be served: it becomes a label value."""


class RetentionMetrics(Protocol):
    """What retention counts."""

    def collected(self, *, failed: bool) -> None:
        """Retention deleted a revision, or could not."""


class Issuer:
    """Writes the GraphRevisions of definitions.

    Args:
        kept: how many live revisions a definition keeps; 0 or less: all.

    Concurrency: one event loop; one pass a definition, so one writer a family.
    """

    def __init__(
        self, *, client: Client, revisions: Informed, metrics: RetentionMetrics, kept: int
    ) -> None:
        self._client = client
        self._revisions = revisions
        self._metrics = metrics
        self._kept = kept
        self._log = get_logger("rgd-controller")

    def family(self, definition: str) -> Family:
        """Return the definition's revisions as far as they are known."""
        return Family.of(self._revisions.by_index(SNAPSHOT_INDEX, definition))

    async def adopt(self, definition: JsonObject) -> None:
        """Own the live revisions that carry the definition's name, whoever issued them.

        Raises:
            ClusterError: a revision could not be written.
        """
        for revision in self.family(name_of(definition)).live:
            wanted = adopted(revision, definition)
            if wanted is None:
                continue
            name = NamespacedName("", name_of(revision))
            written = await self._client.update(REVISIONS, name, wanted)
            self._revisions.observe(written, writer=_key(definition))
            self._log.info("revision adopted", revision=name.name)

    async def issue(self, definition: JsonObject, number: int, spec_hash: str) -> int:
        """Freeze the definition's spec under this number; return the number that there is now.

        Where the number is taken by a revision of this definition that was not known yet, nothing
        is written, and that revision is known then.

        Raises:
            ClusterError: the revision could not be created.
        """
        body = new_revision(definition, number, spec_hash=spec_hash, version=__version__)
        try:
            written = await self._client.create(REVISIONS, body)
        except AlreadyExistsError:
            written = await self._client.get(REVISIONS, NamespacedName("", name_of(body)))
            if definition_of(written) != name_of(definition):
                raise
        self._revisions.observe(written, writer=_key(definition))
        return number_of(written)

    async def collect(self, definition: str) -> None:
        """Delete the revisions that retention lets go; what fails is tried at the next pass.

        In every pass, also in those that do not come to serve anything: a definition that is
        edited faster than it is served must not pile them up.
        """
        for revision in self.family(definition).beyond(self._kept):
            name = NamespacedName("", name_of(revision))
            try:
                left = await self._client.delete(REVISIONS, name, uid=uid_of(revision))
            except NotFoundError:
                continue
            except ClusterError as error:
                self._metrics.collected(failed=True)
                self._log.warning("revision not deleted", revision=name.name, error=str(error))
                continue
            self._metrics.collected(failed=False)
            if left.get("kind") == names.REVISION_KIND:
                self._revisions.observe(left, writer=NamespacedName("", definition))


def _key(definition: JsonObject) -> NamespacedName:
    return NamespacedName("", name_of(definition))
