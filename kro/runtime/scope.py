"""Which part of a resource an informer watches, and what it keeps of each object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from kro.refs import NamespacedName
from kro.runtime.selector import LabelSelector
from kro.runtime.stored import Stored, Transform, strip


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A slice of one resource. Owners that ask for equal scopes share one informer.

    Shape: selectors are written as in a query string; `transform` is compared by identity.
    """

    namespace: str = ""
    selector: str = ""
    field_selector: str = ""
    transform: Transform = strip

    @classmethod
    def one(cls, name: NamespacedName, *, transform: Transform = strip) -> Self:
        """Return the scope that holds a single object."""
        return cls(
            namespace=name.namespace,
            field_selector=f"metadata.name={name.name}",
            transform=transform,
        )

    def holds(self, stored: Stored) -> bool:
        """Tell whether the object belongs in here, as far as namespace, name and labels say it."""
        if self.namespace and stored.name.namespace != self.namespace:
            return False
        if self.field_selector and self.field_selector != f"metadata.name={stored.name.name}":
            return False
        return not self.selector or LabelSelector.parse(self.selector).matches(stored.labels())

    def __str__(self) -> str:
        """Return it as a log line shows it; empty for the whole resource."""
        parts = (
            f"namespace={self.namespace}" if self.namespace else "",
            self.selector,
            self.field_selector,
        )
        return " ".join(part for part in parts if part)
