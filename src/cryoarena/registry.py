"""Find datasets, methods and metrics by name: our own files and those of installed plug-ins."""

import difflib
import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import Generic, Protocol, TypeVar

from cryoarena.errors import UserError

PLUGIN_GROUP = "cryoarena.plugins"


class _Card(Protocol):
    @property
    def name(self) -> str: ...


class _Entry(Protocol):
    @property
    def card(self) -> _Card: ...


EntryT = TypeVar("EntryT", bound=_Entry)


class Registry(Generic[EntryT]):
    """Entries of one kind ("dataset", "method", "metric"), each with a `card` that has a unique `name`.

    Built-in entries live one per file in `package`; entry `igg-1d` is in `igg_1d.py`, so that asking for one
    imports one. Entries that need more than a file live in folders of the sub-package `folders`: `cryodrgn` and all
    that begin with `cryodrgn-` in `cryodrgn/adapter.py`. A plug-in package names modules in the entry-point group
    `cryoarena.plugins`; importing such a module registers its entries.
    """

    def __init__(self, kind: str, package: str, folders: str | None = None) -> None:
        """Make an empty registry of `kind` whose built-in entries are the modules of `package`."""
        self.kind = kind
        self._package = package
        self._folders = f"{package}.{folders}" if folders else None
        self._entries: dict[str, EntryT] = {}

    def register(self, entry: EntryT) -> EntryT:
        """Add an entry under its card's name and return it.

        Raises:
            ValueError: when another entry has that name.
        """
        name = entry.card.name
        if name in self._entries:
            raise ValueError(f"two {self.kind}s are called {name!r}")
        self._entries[name] = entry
        return entry

    def get(self, name: str) -> EntryT:
        """Return the entry called `name`.

        Raises:
            UserError: when there is none; the sentence suggests the nearest name.
        """
        if name not in self._entries:
            own = {f"{self._package}.{name.replace('-', '_')}", f"{self._folders}.{name.partition('-')[0]}.adapter"}
            for module in own & set(self._modules()):
                importlib.import_module(module)
        if name not in self._entries:
            self._import_all()
        if name not in self._entries:
            near = difflib.get_close_matches(name, self._entries, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"see `cryoarena list {self.kind}s`"
            raise UserError(f"there is no {self.kind} called {name!r}; {hint}")
        return self._entries[name]

    def all(self) -> dict[str, EntryT]:
        """Return every entry, sorted by name."""
        self._import_all()
        return dict(sorted(self._entries.items()))

    def _modules(self) -> list[str]:
        modules = [f"{self._package}.{name}" for name, _ in _members(self._package)]
        if self._folders:
            modules += [f"{self._folders}.{name}.adapter" for name, is_folder in _members(self._folders) if is_folder]
        return modules

    def _import_all(self) -> None:
        for module in self._modules():
            importlib.import_module(module)
        for plugin in entry_points(group=PLUGIN_GROUP):
            plugin.load()


def _members(package: str) -> list[tuple[str, bool]]:
    """Return the modules of a package by name, and whether each is a package itself."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return [(module.name, module.ispkg) for module in found]
