"""Which of the rights that definitions need this process lacks, as the API server says.

One SelfSubjectRulesReview tells all that RBAC grants, whatever the number of kinds; asking for each
kind and verb (SelfSubjectAccessReview) would cost a definition of 300 kinds some 2,000 requests.
The review is asked for a namespace in which nothing is bound, so that what it lists holds in all
namespaces: an informer spans them all, and what a RoleBinding grants in one would not be enough.

Two things it cannot tell. Rules with resource names are no right to list, watch or create, and are
left out. And where an authorizer besides RBAC cannot list its rules (webhooks of managed clusters),
the review is incomplete: then, and only for what RBAC does not grant, single access reviews are
asked, no more than `CHECKS_LIMIT` after a review. What remains unknown is not reported: the
preflight warns, it blocks nothing.

A review is kept for as long as nothing speaks against it: for `GOOD_FOR_S` where it grants what is
asked, for `BAD_FOR_S` where something is missing or an informer was refused; a definition that is
new, and seems to lack something, has a fresh one. So a cluster where nothing is missing costs one
request at the start and none an instance or definition.

Source: Kubernetes authorization.k8s.io/v1; spec "API surface and operations" §9.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from kro.controllers.access import Need, denial, merged
from kro.errors import ClusterError
from kro.logs import get_logger
from kro.refs import GVR, JsonObject, JsonValue
from kro.runtime import Clock
from kro.runtime.client import Client, ForbiddenError, NotLeadingError

RULES_REVIEWS: Final = GVR("authorization.k8s.io", "v1", "selfsubjectrulesreviews")
ACCESS_REVIEWS: Final = GVR("authorization.k8s.io", "v1", "selfsubjectaccessreviews")

UNBOUND_NAMESPACE: Final = "kro-preflight-of-cluster-wide-rights"
"""A namespace that need not exist, and in which nobody binds a role."""
GOOD_FOR_S: Final = 600.0
BAD_FOR_S: Final = 5.0
TOLD_FOR_S: Final = 10.0
"""How old a review may be that explains why a request was refused."""
CHECKS_LIMIT: Final = 64
CHECKS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Rights:
    """What a rules review said: verbs by group and resource; `*` stands for any of either."""

    granted: Mapping[tuple[str, str], frozenset[str]]
    complete: bool
    """Whether what it does not list is not granted."""

    @classmethod
    def parse(cls, review: JsonObject) -> Rights:
        """Return the rights that an answered SelfSubjectRulesReview lists."""
        status = review.get("status")
        status = status if isinstance(status, dict) else {}
        rules = status.get("resourceRules")
        granted: dict[tuple[str, str], frozenset[str]] = {}
        for rule in rules if isinstance(rules, list) else ():
            if not isinstance(rule, dict) or rule.get("resourceNames"):
                continue
            verbs = _texts(rule.get("verbs"))
            places = product(_texts(rule.get("apiGroups")), _texts(rule.get("resources")))
            for place in places:
                granted[place] = granted.get(place, frozenset()) | verbs
        return cls(granted, complete=status.get("incomplete") is not True)

    def missing(self, needs: Iterable[Need]) -> tuple[Need, ...]:
        """Return of these needs what is not listed."""
        found = (need.only(need.verbs - self._verbs(need)) for need in needs)
        return tuple(need for need in found if need.verbs)

    def _verbs(self, need: Need) -> frozenset[str]:
        """Return the verbs that are listed for what is needed, as RBAC matches rules."""
        _, slash, subresource = need.resource.partition("/")
        resources = ("*", need.resource, *((f"*/{subresource}",) if slash else ()))
        places = product(("*", need.group), resources)
        verbs = frozenset[str]().union(*(self.granted.get(place, ()) for place in places))
        return need.verbs if "*" in verbs else verbs


class Preflight:
    """Tells which rights are missing.

    Concurrency: one event loop; any number of calls share one review.
    """

    def __init__(self, *, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._rights: Rights | None = None
        self._asked_at = float("-inf")
        self._doubted = False
        self._checked: dict[tuple[str, str, str], bool] = {}
        self._one = asyncio.Lock()
        self._required: dict[str, tuple[Need, ...]] = {}
        self._log = get_logger("preflight")

    async def missing(self, definition: str, needs: Sequence[Need]) -> tuple[Need, ...]:
        """Return which of the definition's needs this process has no right to, as far as is known.

        Raises:
            NotLeadingError: this process may not ask any more.
        """
        known, self._required[definition] = self._required.get(definition), tuple(needs)
        lacking = await self._missing(needs, max_age_s=GOOD_FOR_S)
        if not lacking:
            return ()
        # Who grants rights and then writes the definition must not read that they are missing.
        return await self._missing(needs, max_age_s=BAD_FOR_S if known == tuple(needs) else 0.0)

    def forget(self, definition: str) -> None:
        """Drop what a definition needs that is gone."""
        self._required.pop(definition, None)

    def doubt(self) -> None:
        """Take note that a request was refused which the last review may have allowed."""
        self._doubted = True

    async def explain(self, error: BaseException) -> str:
        """Return the error's text; where rights are missing, with the rules that grant them.

        An admission plug-in refuses in the same form as RBAC does, so it is the rights that decide.

        Raises:
            NotLeadingError: this process may not ask any more.
        """
        text = str(error)
        refused = _refused(error)
        if refused is None:
            return text
        group, resource = refused
        needs = merged(
            need
            for of_one in self._required.values()
            for need in of_one
            if need.group == group and need.resource.partition("/")[0] == resource
        )
        rules = denial(await self._missing(needs, max_age_s=TOLD_FOR_S)) if needs else ""
        return f"{text}\n{rules}" if rules else text

    # how it works

    async def _missing(self, needs: Iterable[Need], *, max_age_s: float) -> tuple[Need, ...]:
        rights = await self._review(max_age_s)
        if rights is None:
            return ()
        unlisted = rights.missing(needs)
        if rights.complete or not unlisted:
            return unlisted
        return await self._denied(unlisted)

    async def _review(self, max_age_s: float) -> Rights | None:
        """Return a review that is not older; None where the API server does not answer one."""
        since = self._clock.now() - (min(max_age_s, BAD_FOR_S) if self._doubted else max_age_s)
        async with self._one:
            if self._asked_at >= since:
                return self._rights
            started = self._clock.now()
            self._checked.clear()
            self._doubted = False
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectRulesReview",
                "spec": {"namespace": UNBOUND_NAMESPACE},
            }
            try:
                self._rights = Rights.parse(await self._client.create(RULES_REVIEWS, body))
            except NotLeadingError:
                raise
            except ClusterError as error:
                self._log.warning("own rights are not known", problem=str(error))
                self._rights = None
            self._asked_at = started
            return self._rights

    async def _denied(self, needs: Sequence[Need]) -> tuple[Need, ...]:
        """Return of needs that no rule lists what the API server denies, each asked once."""
        asked = [(need.group, need.resource, verb) for need in needs for verb in sorted(need.verbs)]
        unknown = [each for each in asked if each not in self._checked]
        del unknown[max(0, CHECKS_LIMIT - len(self._checked)) :]
        slots = asyncio.Semaphore(CHECKS_AT_ONCE)

        async def check(each: tuple[str, str, str]) -> None:
            async with slots:
                allowed = await self._is_allowed(*each)
            if allowed is not None:
                self._checked[each] = allowed

        async with asyncio.TaskGroup() as group:
            for each in unknown:
                group.create_task(check(each))
        found = (
            need.only(
                verb
                for verb in need.verbs
                if self._checked.get((need.group, need.resource, verb)) is False
            )
            for need in needs
        )
        return tuple(need for need in found if need.verbs)

    async def _is_allowed(self, group: str, resource: str, verb: str) -> bool | None:
        name, _, subresource = resource.partition("/")
        attributes: JsonObject = {"group": group, "resource": name, "verb": verb}
        if subresource:
            attributes["subresource"] = subresource
        body: JsonObject = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        try:
            status = (await self._client.create(ACCESS_REVIEWS, body)).get("status")
        except ClusterError as error:
            self._log.warning("own right is not known", problem=str(error))
            return None
        return isinstance(status, dict) and status.get("allowed") is True


def _refused(error: BaseException) -> tuple[str, str] | None:
    """Return group and resource of the request that a 403 at the root of an error refused."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ForbiddenError):
            details = cause.status.details
            return (details.group, details.kind) if details is not None else None
        cause = cause.__cause__
    return None


def _texts(value: JsonValue) -> frozenset[str]:
    return frozenset(str(each) for each in value) if isinstance(value, list) else frozenset()
