"""Palettes from Minecraft's resource packs: every block that is a full opaque cube, with a tile for each of six faces.

A block's states name models, a model its textures; all of them may lie in different packs of a stack. Nothing of a pack
is kept besides the tiles of the palette.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import BlockcoreError, DatasetError, PaletteError, listed, quoted
from blockcore.formats.block_facts import GROUPS, came_with, falls, group_of, is_later
from blockcore.formats.block_models import Cube, LeftOut, Models, Pixels, Turn, full_name, shrunk, tiles, turn_of
from blockcore.formats.block_states import is_state
from blockcore.io import png
from blockcore.io.damage import DAMAGE
from blockcore.io.files import parse_json, read_bytes
from blockcore.io.packs import PackStack
from blockcore.io.pictures import decode_picture
from blockcore.model.grid import FACE_NAMES, FACE_SLOTS
from blockcore.model.palette import SLOT_NAMES, Palette

_LARGEST_JSON, _LARGEST_TEXTURE = 1 << 22, 1 << 24  # bytes
_MOST_TEXELS = 1 << 24
_MOST_BLOCKS, _MOST_STATES = 1 << 14, 1 << 16
_LARGEST_TILE = 64
_LONGEST_LIST = 1 << 20  # bytes
_OLD = "is not named as since Minecraft 1.13"


@dataclass(frozen=True)
class PackChoice:
    """Which blocks of packs a palette takes, and how.

    Attributes:
        only: names or patterns of names, such as ``*_wool``; empty for all blocks.
        groups: of ``block_facts.GROUPS``; empty for all.
        grass: (3,) display colour of grass where the world stands; None leaves out what shows it.
        leaves: likewise of leaves.
        falling: whether blocks are taken that fall.
        game: a version such as ``1.16``: blocks that came later are left out; "" for none.
        texels: the most texels a side of a tile; finer textures are averaged.
    """

    only: Sequence[str] = ()
    groups: Sequence[str] = ()
    grass: tuple[float, float, float] | None = None
    leaves: tuple[float, float, float] | None = None
    falling: bool = False
    game: str = ""
    texels: int = 16

    def __post_init__(self) -> None:
        unknown = [group for group in self.groups if group not in GROUPS]
        if unknown:
            raise PaletteError(f"group {quoted(unknown[0])} is not known; use some of {listed(GROUPS)}")
        if not 1 <= self.texels <= _LARGEST_TILE:
            raise PaletteError(f"{self.texels} texels a side are not possible; give 1 to {_LARGEST_TILE}")
        try:
            is_later(self.game, "1")
        except ValueError:
            raise PaletteError(f"{quoted(self.game)} is no version of Minecraft; give one such as 1.20.4") from None

    def check(self, block: str) -> None:
        """Refuses a block, by its name without a state.

        Raises:
            LeftOut: it is not wanted.
        """
        if self.groups and group_of(block) not in self.groups:
            raise LeftOut("is of another group")
        if self.game and came_with(block) and is_later(came_with(block), self.game):
            raise LeftOut(f"came with Minecraft {came_with(block)}")
        if falls(block) and not self.falling:
            raise LeftOut("falls")

    def wants(self, state: str) -> bool:
        """Whether ``only`` names a block or state; without a namespace it means Minecraft's own."""
        patterns = [full_name(name) for name in self.only]
        names = (state, state.partition("[")[0])
        return not patterns or any(name == want or fnmatchcase(name, want) for want in patterns for name in names)

    def tint(self, block: str) -> npt.NDArray[np.float64] | None:
        """Returns what is laid over a block's tinted faces, (3,)."""
        color = self.leaves if "leaves" in block else self.grass if "grass" in block else None
        return None if color is None else np.array(color)


@dataclass(frozen=True)
class PackBlocks:
    """What packs hold.

    Attributes:
        palette: the blocks that a palette can have, by their states.
        left_out: the reason for each block, or state, that it cannot have.
    """

    palette: Palette
    left_out: Mapping[str, str]


def read_packs(paths: Sequence[Path], choice: PackChoice | None = None) -> PackBlocks:
    """Reads the blocks of resource packs.

    Args:
        paths: archives and folders; the first that has a file counts, as the top one of a game's list.
        choice: which blocks; all that are full opaque cubes if None.

    Raises:
        BlockcoreError: a pack cannot be read, or there is no such block.
    """
    choice = choice or PackChoice()
    reader = _Reader(PackStack.open(paths), choice)
    looks, left_out = reader.looks()
    if not looks:
        what = listed(str(path) for path in paths)
        if not reader.blocks:
            raise PaletteError(f"{what}: has no blockstates; put the game's own .jar at the end of the stack")
        reasons = listed(dict.fromkeys(left_out.values()))
        raise PaletteError(f"{what}: none of {len(reader.blocks)} blocks can be taken ({reasons}); choose others")
    names = ("Air", *looks)
    every = {(m, d): tile for m, look in enumerate(looks.values(), 1) for d, tile in look.items()}
    colors = np.stack([np.zeros((3, 3)), *(_slot_colors(look) for look in looks.values())])
    return PackBlocks(Palette(names, colors, every), left_out)


def read_names(path: Path) -> list[str]:
    """Returns the names in a text file, one a line; ``#`` begins a remark.

    Raises:
        PaletteError: it cannot be read, or has none.
    """
    remedy = "write the names of blocks, one a line"
    try:
        lines = read_bytes(path, _LONGEST_LIST).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PaletteError(f"{path}: cannot be read ({reason}); {remedy}") from error
    names = [name for line in lines if (name := line.partition("#")[0].strip())]
    if not names:
        raise PaletteError(f"{path}: has no names; {remedy}")
    return names


def _slot_colors(look: Mapping[int, Pixels]) -> npt.NDArray[np.float64]:
    """Returns the mean colours of top, bottom and sides, (3, 3)."""
    means = np.array([look[d][..., :3].mean(axis=(0, 1)) / 255.0 for d in range(len(FACE_NAMES))])
    return np.array([means[slot == FACE_SLOTS].mean(axis=0) for slot in range(len(SLOT_NAMES))])


@dataclass
class _Reader:
    """Reads blocks from a stack, each texture once."""

    stack: PackStack
    choice: PackChoice
    _pictures: dict[str, Pixels | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.models = Models(lambda name: self._json(name, "models"))
        self.blocks: dict[str, str] = {}  # name of the file by name of the block
        for name in self.stack.names("assets/", ".json"):
            space, _, rest = name.removeprefix("assets/").partition("/")
            if rest.startswith("blockstates/"):
                self.blocks[f"{space}:{rest[len('blockstates/') : -len('.json')]}"] = name
        if len(self.blocks) > _MOST_BLOCKS:
            raise BlockcoreError(f"resource packs: have {len(self.blocks)} blocks; at most {_MOST_BLOCKS} are allowed")

    def looks(self) -> tuple[dict[str, dict[int, Pixels]], dict[str, str]]:
        """Returns the tiles of each state that can be taken, and the reason for each that cannot.

        What shows the same as another is left out: no picture tells them apart. The shortest name stays.
        """
        found: dict[str, dict[int, Pixels]] = {}
        left_out: dict[str, str] = {}
        for block in self.blocks:
            try:
                for state, look in self._states(block):
                    if isinstance(look, str):
                        left_out[state] = look
                    else:
                        found[state] = look
            except LeftOut as reason:
                left_out[block] = str(reason)
            except DAMAGE:
                left_out[block] = "has damaged blockstates"
        first: dict[bytes, str] = {}
        for state in sorted(found, key=lambda state: (len(state.partition("[")[0]), state)):
            shown = b"".join(bytes(f"{tile.shape}", "ascii") + tile.tobytes() for tile in found[state].values())
            if first.setdefault(shown, state) != state:
                left_out[state] = f"looks like {first[shown]}"
        return {state: found[state] for state in found if state not in left_out}, left_out

    def _states(self, block: str) -> Iterator[tuple[str, dict[int, Pixels] | str]]:
        """Yields a block's states, each with its tiles or the reason why it is left out."""
        if not is_state(block):
            raise LeftOut(_OLD)
        self.choice.check(block)
        data = parse_json(self._bytes(self.blocks[block], _LARGEST_JSON) or b"")
        if not isinstance(data.get("variants"), dict):
            raise LeftOut("is put together of parts")
        if len(data["variants"]) > _MOST_STATES // 16:
            raise LeftOut("has too many states")
        for key, variants in data["variants"].items():
            state = f"{block}[{','.join(sorted(key.split(',')))}]" if key else block
            if not self.choice.wants(state):
                continue
            try:
                yield state, self._look(state, variants)
            except LeftOut as reason:
                yield state, str(reason)

    def _look(self, state: str, variants: Any) -> dict[int, Pixels]:
        if not is_state(state):
            raise LeftOut(_OLD)
        some = variants if isinstance(variants, list) else [variants]
        variant = max(some, key=lambda one: float(one.get("weight", 1)))  # the first of those as frequent
        cube: Cube = self.models.cube(full_name(variant["model"]))
        turn: Turn = turn_of(variant)
        return tiles(cube, turn, self._picture, self.choice.tint(state.partition("[")[0]), self.choice.texels)

    def _json(self, name: str, kind: str) -> Any:
        data = self._bytes(_path(name, kind, ".json"), _LARGEST_JSON)
        return None if data is None else parse_json(data)

    def _bytes(self, name: str, most: int) -> bytes | None:
        try:
            return self.stack.read(name, most)
        except ValueError as error:
            raise LeftOut(f"has a file that cannot be read: {name[-60:]} {error}") from error

    def _picture(self, name: str, most: int) -> Pixels:
        key = f"{name} {most}"
        if key not in self._pictures:
            try:
                self._pictures[key] = shrunk(self._texture(name), most)
            except (LeftOut, BlockcoreError) as reason:
                self._pictures[key] = str(reason)
            except DAMAGE:
                self._pictures[key] = f"has the damaged texture {name[:80]}"
        found = self._pictures[key]
        if isinstance(found, str):
            raise LeftOut(found)
        return found

    def _texture(self, name: str) -> Pixels:
        """Returns a texture's pixels, of an animated strip the first frame."""
        path = _path(name, "textures", ".png")
        data = self._bytes(path, _LARGEST_TEXTURE)
        if data is None:
            raise LeftOut(f"has no texture {name[:80]}")
        width, height = png.size(data)
        if width * height > _MOST_TEXELS:
            raise LeftOut(f"has the too large texture {name[:80]}")
        try:
            pixels = decode_picture(data, name)
        except DatasetError as error:
            raise LeftOut(f"has the damaged texture {name[:80]}") from error
        opaque = np.full((*pixels.shape[:2], 4 - pixels.shape[2]), 255, np.uint8)
        pixels = np.concatenate([pixels, opaque], axis=2)
        told = self._bytes(f"{path}.mcmeta", _LARGEST_JSON)
        animation = None if told is None else parse_json(told).get("animation")
        return pixels if animation is None else _first_frame(pixels, animation)


def _first_frame(pixels: Pixels, animation: Mapping[str, Any]) -> Pixels:
    height, width = pixels.shape[:2]
    side = min(width, height)
    wide, high = int(animation.get("width", side)), int(animation.get("height", side))
    first = (animation.get("frames") or [0])[0]
    number = int(first["index"] if isinstance(first, dict) else first)
    row, column = divmod(number, width // wide)
    frame = pixels[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
    if frame.shape[:2] != (high, wide) or not frame.size or number < 0:
        raise LeftOut("has an animation without a first frame")
    return frame


def _path(name: str, kind: str, end: str) -> str:
    space, _, rest = name.partition(":")
    return f"assets/{space}/{kind}/{rest}{end}"
