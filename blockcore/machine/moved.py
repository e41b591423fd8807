"""Modules under the names they had before they moved into rooms, so that what people wrote goes on working."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class MovedModules(MetaPathFinder, Loader):
    """Finds a moved module by its old name: the very module, not a copy. Nothing is imported before it is asked for."""

    def __init__(self, moved: Mapping[str, str]) -> None:
        """Takes full old names to full new ones."""
        self.moved = dict(moved)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns a spec for an old name, None for any other."""
        return ModuleSpec(fullname, self) if fullname in self.moved else None

    def exec_module(self, module: ModuleType) -> None:
        """Puts the moved module in the place of the empty one made for the old name."""
        sys.modules[module.__name__] = importlib.import_module(self.moved[module.__name__])


def keep_old_names(package: str, moved: Mapping[str, str]) -> None:
    """Lets ``package.old`` be imported for each ``old: new`` in ``moved``, both relative to ``package``."""
    sys.meta_path.append(MovedModules({f"{package}.{old}": f"{package}.{new}" for old, new in moved.items()}))
