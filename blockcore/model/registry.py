"""Things that can be added: each an object with a name, in a registry that other packages reach by an entry point."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Protocol, TypeVar

from blockcore.errors import SettingsError


class Named(Protocol):
    """What every registered object has.

    Attributes:
        name: as settings and command lines have it.
        label: its name in the panel.
        description: its tooltip there.
    """

    @property
    def name(self) -> str:
        """The word that settings and command lines have."""
        ...

    @property
    def label(self) -> str:
        """The name in the panel."""
        ...

    @property
    def description(self) -> str:
        """The tooltip there."""
        ...


N = TypeVar("N", bound=Named)


class Registry(Mapping[str, N]):
    """Objects by name: blockcore's own, those added here, and those that installed packages name as entry points.

    Nothing is imported before it is asked for; other packages are asked only for a name that is not known, or for all.
    """

    def __init__(self, kind: str, group: str, own: str) -> None:
        """Makes a registry.

        Args:
            kind: what messages call its objects.
            group: of the entry points; each is an object.
            own: where blockcore's own objects are, as ``"module:name of a tuple"``.
        """
        self.kind, self.group, self.own = kind, group, own
        self._own: dict[str, N] | None = None
        self._added: dict[str, N] = {}
        self._installed: dict[str, N] | None = None

    def add(self, entry: N) -> None:
        """Adds an object, for as long as this process lives.

        Raises:
            SettingsError: its name is taken.
        """
        if entry.name in self:
            raise SettingsError(f"{self.kind} {entry.name!r} is there already; give yours another name")
        self._added[entry.name] = entry

    def remove(self, name: str) -> None:
        """Takes back an object that was added."""
        del self._added[name]

    def __getitem__(self, name: str) -> N:
        for known in (self._ours, self._added):
            if name in known:
                return known[name]
        return self._theirs[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._ours, **self._added, **self._theirs})

    def __len__(self) -> int:
        return len(list(iter(self)))

    @property
    def _ours(self) -> dict[str, N]:
        if self._own is None:
            module, _, name = self.own.partition(":")
            self._own = {entry.name: entry for entry in getattr(importlib.import_module(module), name)}
        return self._own

    @property
    def _theirs(self) -> dict[str, N]:
        """Objects of installed packages; one under a name of ours is not taken.

        Raises:
            SettingsError: one cannot be loaded.
        """
        if self._installed is None:
            found: dict[str, N] = {}
            for point in metadata.entry_points(group=self.group):
                try:
                    entry = point.load()
                    found[entry.name] = entry
                except (ImportError, AttributeError) as error:
                    raise SettingsError(
                        f"{self.kind} {point.name!r} of another package ({point.value}) cannot be loaded ({error}); "
                        "mend or uninstall that package"
                    ) from error
            self._installed = {name: entry for name, entry in found.items() if name not in self._ours}
        return self._installed


class Words(Mapping[str, tuple[str, str]]):
    """The names of a registry as the choices of a setting: each with its name and description in the panel."""

    def __init__(self, registry: Registry[N], first: Mapping[str, tuple[str, str]] | None = None) -> None:
        """Puts the choices ``first``, such as an automatic one, before those of the registry."""
        self.registry, self.first = registry, dict(first or {})

    def __getitem__(self, name: str) -> tuple[str, str]:
        if name in self.first:
            return self.first[name]
        entry = self.registry[name]
        return entry.label, entry.description

    def __iter__(self) -> Iterator[str]:
        yield from self.first
        yield from self.registry

    def __len__(self) -> int:
        return len(self.first) + len(self.registry)

    def __bool__(self) -> bool:
        return True  # without asking other packages
