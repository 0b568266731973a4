"""Which links are cut: partitions into groups, and single cuts, in one direction or both."""

from __future__ import annotations

from collections.abc import Collection, Iterable


class Cut:
    """Packets from ``sources`` to ``targets`` do not get through; with ``both_ways`` neither do those back.

    ``targets`` None: to everybody who is not among the sources.
    """

    __slots__ = ("both_ways", "sources", "targets")

    def __init__(self, sources: frozenset[str], targets: frozenset[str] | None, both_ways: bool) -> None:
        self.sources = sources
        self.targets = targets
        self.both_ways = both_ways

    def blocks(self, source: str, target: str) -> bool:
        """Whether it stands in the way of a packet."""
        return self._leads(source, target) or (self.both_ways and self._leads(target, source))

    def _leads(self, source: str, target: str) -> bool:
        if source not in self.sources:
            return False
        return target not in self.sources if self.targets is None else target in self.targets


class Cuts:
    """All cuts in force. ``known``: the names that there are."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._groups: dict[str, int] | None = None
        self._single: dict[Cut, None] = {}

    def __bool__(self) -> bool:
        return self._groups is not None or bool(self._single)

    def blocks(self, source: str, target: str) -> bool:
        """Whether a packet cannot get through now. A node always reaches itself."""
        if source == target:
            return False
        groups = self._groups
        if groups is not None and groups.get(source, 0) != groups.get(target, 0):
            return True
        return any(cut.blocks(source, target) for cut in self._single)

    def partition(self, groups: Iterable[Iterable[str]]) -> None:
        """Cut all links between groups; who is in none forms a group with the others of that sort. Replaces an earlier
        partition. Raises ValueError for an unknown name, or one that is in two groups."""
        numbers: dict[str, int] = {}
        for number, group in enumerate(groups, 1):
            for name in self._checked(group):
                if name in numbers:
                    raise ValueError(f"{name!r} is in two groups")
                numbers[name] = number
        self._groups = numbers

    def add(self, sources: Iterable[str], targets: Iterable[str] | None, *, both_ways: bool) -> Cut:
        """Cut some links more. Raises ValueError for an unknown name."""
        to = None if targets is None else frozenset(self._checked(targets))
        cut = Cut(frozenset(self._checked(sources)), to, both_ways)
        self._single[cut] = None
        return cut

    def end(self, cut: Cut | None) -> None:
        """End one cut (if it is still there), or, with None, all of them and the partition."""
        if cut is not None:
            self._single.pop(cut, None)
        else:
            self._groups = None
            self._single.clear()

    def _checked(self, names: Iterable[str]) -> list[str]:
        checked = list(names)
        for name in checked:
            if name not in self._known:
                raise ValueError(f"there is no host called {name!r}")
        return checked
