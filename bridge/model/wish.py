# SPDX-License-Identifier: GPL-3.0-or-later
"""What blocks of a model are asked for: as a value, and as words of the command line."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, fields

from blockcore.commands.voxelize import add_size
from blockcore.errors import SettingsError
from blockcore.io.damage import made
from blockcore.io.files import Json
from blockcore.voxelize.voxels import FILLS

AXES = ("world", "object")
_MOST_VIEWS = 256


@dataclass(frozen=True)
class Wish:
    """What blocks are asked for.

    Attributes:
        across: how many along the model's longest side; taken where neither of the next two is given.
        block_size: edge of a block, in Blender's units.
        budget: most blocks.
        fill: ``"shell"`` or ``"solid"``.
        axes: along which the grid lies: the ``"world"``'s or those of the model's first ``"object"``.
        views: how many cameras.
        beside: whether the blocks are shown beside the model, not instead of it.

    Raises:
        SettingsError: a value is out of range.
    """

    across: float = 36.0
    block_size: float | None = None
    budget: int | None = None
    fill: str = "shell"
    axes: str = "world"
    views: int = 24
    beside: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.views <= _MOST_VIEWS:
            raise SettingsError(f"{self.views} views are out of range; give 1 to {_MOST_VIEWS}")
        for name, choices in (("fill", FILLS), ("axes", AXES)):
            if getattr(self, name) not in choices:
                raise SettingsError(f"{name} {getattr(self, name)!r} is not one of {', '.join(choices)}")

    def words(self) -> list[str]:
        """Returns the options of ``python -m bridge blocks`` that say this."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        if len({"block_size", "budget"} & values.keys()):
            del values["across"]
        beside = values.pop("beside")
        return [f"--{name.replace('_', '-')}={value}" for name, value in values.items()] + ["--beside"] * beside

    def to_dict(self) -> Json:
        """Returns it as JSON values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Json) -> Wish:
        """Reads JSON values; names that are not known are left out.

        Raises:
            SettingsError, TypeError: a value is out of range or of the wrong form.
        """
        return made(Wish, values)


def add_wish(command: argparse.ArgumentParser) -> None:
    """Adds one option for each part of a wish."""
    add_size(command)
    command.add_argument("--axes", choices=AXES, default="world", help="of the grid (default: world)")
    command.add_argument("--views", type=int, default=24, metavar="N", help="cameras around the model (24)")
    command.add_argument("--beside", action="store_true", help="show the blocks beside the model, not instead of it")


def wish_of(args: argparse.Namespace) -> Wish:
    """Returns the wish that a command line says.

    Raises:
        SettingsError: a value is out of range.
    """
    return Wish(**{part.name: getattr(args, part.name) for part in fields(Wish)})
