"""The indexed cache behind an informer, and its read-only view.

The store takes what a reflector brings (whole lists and single events) and what the process itself
has written, and answers each change with the deltas that handlers must hear of. Everything happens
between two awaits, so that a reader sees either the state before or the state after.

Own writes. The answer of a write is put in at once and stays until the stream has caught up:

- an answer that the stream has already passed (the cursor is as new) is ignored, since what it said
  is already in the store or has been overtaken, even by a deletion;
- events and lists that are older than the answer do not touch it;
- an object that we were told is gone is taken out, and late events of its UID do not bring it back.

All of that needs an answer to "which is newer"; where versions cannot be compared, own writes are
left to the stream.

Source: spec "Controller runtime" P-006, P-011, P-016, P-045, P-046, P-058.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol, TypeAlias

from kro.errors import ClusterError
from kro.refs import JsonObject, NamespacedName
from kro.runtime.selector import LabelSelector
from kro.runtime.stored import Stored
from kro.runtime.versions import at_least

Objects: TypeAlias = list[JsonObject]
Names: TypeAlias = list[NamespacedName]
IndexFn: TypeAlias = Callable[[Stored], str | None]
"""Under which value an object is found in an index; None leaves it out."""


def by_label(key: str) -> IndexFn:
    """Return an index over the values of one label."""

    def index(stored: Stored) -> str | None:
        return stored.label(key)

    return index


class NotSyncedError(ClusterError):
    """The store has not been loaded yet, so that nothing can be said about what it would hold."""

    reason = "NotSynced"


class Delta(NamedTuple):
    """One change of one object: added without `old`, deleted without `new`.

    `missed` marks what was found out afterwards: by a list, or by another UID under the same name.
    """

    old: Stored | None
    new: Stored | None
    missed: bool = False


Deltas: TypeAlias = list[Delta]


class Lister(Protocol):
    """A read-only view of a store.

    Every read raises NotSyncedError before the first load is complete.
    """

    @property
    def synced(self) -> bool:
        """Whether the store is whole."""
        ...

    def get(self, name: NamespacedName) -> JsonObject | None:
        """Return the object, decoded anew, or None when there is none."""
        ...

    def stored(self, name: NamespacedName) -> Stored | None:
        """Return the object as it is stored."""
        ...

    def list(self, *, namespace: str = "", selector: LabelSelector | None = None) -> Objects:
        """Return the matching objects in the order of their names."""
        ...

    def by_index(self, index: str, value: str) -> Objects:
        """Return the objects that stand under `value`, in the order of their names."""
        ...

    def keys(self) -> Names:
        """Return all names, sorted."""
        ...

    def __len__(self) -> int:
        """Return how many objects there are."""
        ...


class _Index:
    __slots__ = ("function", "names")

    def __init__(self, function: IndexFn) -> None:
        self.function = function
        self.names: dict[str, set[NamespacedName]] = {}

    def change(self, old: Stored | None, new: Stored | None) -> None:
        before = None if old is None else self.function(old)
        after = None if new is None else self.function(new)
        if before == after:
            return
        if old is not None and before is not None:
            names = self.names[before]
            names.discard(old.name)
            if not names:
                del self.names[before]
        if new is not None and after is not None:
            self.names.setdefault(after, set()).add(new.name)


class Store:
    """Objects of one resource within one scope, and how far the stream has got.

    Concurrency: one event loop; every method is atomic.
    """

    def __init__(self) -> None:
        self.cursor = ""
        """The resource version up to which the stream's events are in here; "" before the load."""
        self._synced = False
        self._objects: dict[NamespacedName, Stored] = {}
        self._indexes: dict[str, _Index] = {}
        self._own: dict[NamespacedName, str] = {}
        """Versions of own writes that the stream has not reached yet."""
        self._gone: dict[NamespacedName, str] = {}
        """UIDs that the server told us are gone, while the stream may still speak of them."""
        self._early: dict[NamespacedName, Stored] = {}
        """Answers of own writes that came before the load was complete."""

    # reads

    @property
    def synced(self) -> bool:
        """Whether the store is whole."""
        return self._synced

    def get(self, name: NamespacedName) -> JsonObject | None:
        """Return the object, decoded anew, or None when there is none."""
        stored = self.stored(name)
        return None if stored is None else stored.object()

    def stored(self, name: NamespacedName) -> Stored | None:
        """Return the object as it is stored."""
        self._check()
        return self._objects.get(name)

    def select(
        self, *, namespace: str = "", selector: LabelSelector | None = None
    ) -> Iterator[Stored]:
        """Yield the matching objects in the order of their names."""
        self._check()
        for name in sorted(self._objects):
            if namespace and name.namespace != namespace:
                continue
            stored = self._objects[name]
            if selector is None or selector.matches(stored.labels()):
                yield stored

    def list(self, *, namespace: str = "", selector: LabelSelector | None = None) -> Objects:
        """Return the matching objects in the order of their names."""
        return [stored.object() for stored in self.select(namespace=namespace, selector=selector)]

    def by_index(self, index: str, value: str) -> Objects:
        """Return the objects that stand under `value`, in the order of their names."""
        self._check()
        names = self._indexes[index].names.get(value, ())
        return [self._objects[name].object() for name in sorted(names)]

    def keys(self) -> Names:
        """Return all names, sorted."""
        self._check()
        return sorted(self._objects)

    def __len__(self) -> int:
        """Return how many objects there are."""
        return len(self._objects)

    def _check(self) -> None:
        if not self._synced:
            raise NotSyncedError("the objects have not been loaded yet")

    # indexes

    def add_indexes(self, indexes: Mapping[str, IndexFn]) -> None:
        """Make sure that these indexes exist; the first function under a name stays."""
        for name, function in indexes.items():
            if name not in self._indexes:
                index = self._indexes[name] = _Index(function)
                for stored in self._objects.values():
                    index.change(None, stored)

    # what the stream brings

    def replace(self, items: Iterable[Stored], cursor: str) -> Deltas:
        """Hold exactly these objects, as of `cursor`, and be synced from now on.

        Own writes that are newer than the list stay, unless the list shows that the server's
        history went backwards: then the server's word is all that counts.
        """
        fresh = {item.name: item for item in items}
        went_back = bool(self.cursor) and at_least(cursor, self.cursor) is False
        if went_back:
            self._own.clear()
        for name, version in list(self._own.items()):
            if at_least(cursor, version) is False:
                fresh[name] = self._objects[name]
            else:
                del self._own[name]
        self._gone.clear()
        self.cursor = cursor
        self._synced = True
        deltas: Deltas = []
        for name, old in list(self._objects.items()):
            if name not in fresh:
                deltas.append(self._change(Delta(old, None, missed=True)))
        for name, new in fresh.items():
            deltas += self._put(name, new, missed=True, went_back=went_back)
        early, self._early = self._early, {}
        for stored in early.values():
            deltas += self.observe(stored) or ()
        return deltas

    def put(self, new: Stored) -> Deltas:
        """Take an ADDED or MODIFIED event: what is known is changed, what is not is added."""
        self.cursor = new.resource_version or self.cursor
        name = new.name
        gone = self._gone.get(name)
        if gone is not None:
            if gone == new.uid:
                return []
            del self._gone[name]
        own = self._own.get(name)
        if own is not None:
            if at_least(new.resource_version, own) is False:
                return []
            del self._own[name]
        return self._put(name, new, missed=False)

    def remove(self, last: Stored) -> Deltas:
        """Take a DELETED event; one about an object that is not here changes nothing."""
        self.cursor = last.resource_version or self.cursor
        name = last.name
        if self._gone.get(name) == last.uid:
            del self._gone[name]
        old = self._objects.get(name)
        if old is None or old.uid != last.uid:
            return []
        own = self._own.get(name)
        if own is not None and at_least(last.resource_version, own) is False:
            return []
        return [self._change(Delta(old, None))]

    def advance(self, cursor: str) -> None:
        """Take a bookmark: nothing older than `cursor` will come."""
        self.cursor = cursor

    def clear(self) -> Deltas:
        """Hold nothing and be whole: the resource is not served any more."""
        deltas = [
            self._change(Delta(old, None, missed=True)) for old in list(self._objects.values())
        ]
        self._own.clear()
        self._gone.clear()
        self._early.clear()
        self.cursor = ""
        self._synced = True
        return deltas

    # what we have done ourselves

    def observe(self, new: Stored) -> Deltas | None:
        """Take the answer of an own write, or return None when the stream knows better."""
        if not self._synced:
            self._early[new.name] = new
            return None
        if at_least(self.cursor, new.resource_version) is not False:
            return None
        name = new.name
        old = self._objects.get(name)
        if old is not None and at_least(new.resource_version, old.resource_version) is not True:
            return None
        if self._gone.get(name) == new.uid:
            return None
        self._own[name] = new.resource_version
        return self._put(name, new, missed=False)

    def forget(self, name: NamespacedName, uid: str) -> Deltas:
        """Take out the object that the server told us is gone, if it is the one with this UID."""
        if not self._synced:
            return []
        old = self._objects.get(name)
        if old is None or old.uid != uid:
            return []
        self._gone[name] = uid
        return [self._change(Delta(old, None))]

    # how it works

    def _put(
        self, name: NamespacedName, new: Stored, *, missed: bool, went_back: bool = False
    ) -> Deltas:
        old = self._objects.get(name)
        if old is None:
            return [self._change(Delta(None, new))]
        if old.uid != new.uid:
            gone = self._change(Delta(old, None, missed=True), keep_own=True)
            return [gone, self._change(Delta(None, new))]
        # A restored server gives a version out a second time, perhaps for something else.
        if old.resource_version == new.resource_version and not (
            went_back and old.data != new.data
        ):
            return []
        return [self._change(Delta(old, new, missed))]

    def _change(self, delta: Delta, *, keep_own: bool = False) -> Delta:
        old, new, _ = delta
        if new is not None:
            self._objects[new.name] = new
        elif old is not None:
            del self._objects[old.name]
            if not keep_own:
                self._own.pop(old.name, None)
        for index in self._indexes.values():
            index.change(old, new)
        return delta
