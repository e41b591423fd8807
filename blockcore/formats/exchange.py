"""One kind of block world made of the other: materials that have colours, and block states that have names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import MapError
from blockcore.formats import Losses, read, write, writer
from blockcore.formats.block_states import AIR, EMPTY, MOST_CELLS, BlockStates, is_state, merged
from blockcore.model.grid import BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import OUTSIDE, BlockScene

_EDITORS = {"Grass": "grass_block", "Plank": "oak_planks", "Snow": "snow_block"}
"""Materials of the editor that Minecraft calls something else."""
_CONCRETE = {
    **{"white": "#cfd5d6", "orange": "#e06101", "magenta": "#a9309f", "light_blue": "#2489c7", "yellow": "#f1af15"},
    **{"lime": "#5ea918", "pink": "#d6658f", "gray": "#373a3e", "light_gray": "#7d7d73", "cyan": "#157788"},
    **{"purple": "#64209c", "blue": "#2d2f8f", "brown": "#603c20", "green": "#495b24", "red": "#8e2121"},
    "black": "#080a0f",
}
"""The mean colours of Minecraft's concrete: what stands for a colour where nobody gave a palette."""
_UNKNOWN = np.full((3, 3), 0.5)  # grey, for a state whose colour nobody gave


def concrete() -> Palette:
    """Returns a palette of Minecraft's sixteen kinds of concrete."""
    colors = np.array([list(bytes.fromhex(code[1:])) for code in _CONCRETE.values()]) / 255.0
    slots = np.concatenate([np.zeros((1, 3)), colors])[:, None, :].repeat(3, axis=1)
    return Palette(("Air", *(f"minecraft:{name}_concrete" for name in _CONCRETE)), slots)


def adapted(what: Any, kind: type[Any], palette: Palette | None) -> tuple[Any, tuple[str, ...]]:
    """Returns a world as another kind, and what that could not carry.

    Args:
        what: a ``BlockScene`` or ``BlockStates``.
        kind: which of the two is wanted.
        palette: the materials, or the blocks, to choose among; None for those that the world has.

    Raises:
        BlockcoreError: it is too large.
    """
    if isinstance(what, BlockScene) and kind is BlockStates:
        return as_states(what, palette)
    if isinstance(what, BlockStates) and kind is BlockScene:
        return as_scene(what, palette)
    if isinstance(what, BlockScene) and palette is not None:
        return repainted(what, palette)
    return what, () if palette is None else ("block states stay as they are: the palette is not used",)


def export(path: Path, what: Any, palette: Palette | None = None) -> Losses:
    """Writes blocks in the format that a name asks for, adapted to what it holds.

    Args:
        path: the file or folder.
        what: a ``BlockScene`` or ``BlockStates``.
        palette: see ``adapted``.

    Returns:
        What could not be carried over, a sentence each.

    Raises:
        BlockcoreError: no format has that ending, or it does not take the blocks, or it cannot be written there.
    """
    adjusted, unlike = adapted(what, writer(path).holds, palette)
    return (*unlike, *write(path, adjusted))


def as_states(scene: BlockScene, palette: Palette | None) -> tuple[BlockStates, tuple[str, ...]]:
    """Returns a scene's blocks by name: that of the material if it is one of a block, else of the nearest colour.

    Raises:
        MapError: its blocks span more than ``MOST_CELLS`` cells.
    """
    losses = beside_blocks(scene)
    said: tuple[str, ...]
    if palette is None:
        state_of, said = block_names(scene)
    else:
        scene, said = repainted(scene, palette)
        state_of = [_state(name) for name in scene.palette.names]
    low, size = np.zeros(3, np.int64), np.array(scene.grid.size, np.int64)
    if size.prod() > MOST_CELLS and len(scene.grid):
        low = scene.grid.positions.min(axis=0).astype(np.int64)
        size = scene.grid.positions.max(axis=0) + 1 - low
    if size.prod() > MOST_CELLS:
        raise MapError(f"its blocks span {' x '.join(map(str, size))} cells; {MOST_CELLS} are allowed, so cut it")
    used, index = np.unique(scene.materials, return_inverse=True)
    states, number = merged([AIR, *(state_of[material] for material in used.tolist())])
    cells = np.zeros(tuple(size.tolist()), np.int32)
    x, y, z = (scene.grid.positions - low).T
    cells[x, y, z] = number[index.reshape(-1) + 1]
    origin = (int(low[0]), int(low[1]), int(low[2]))
    return BlockStates(cells, tuple(states), origin), (*losses, *said)


def as_scene(blocks: BlockStates, palette: Palette | None) -> tuple[BlockScene, tuple[str, ...]]:
    """Returns block states as materials of a palette; those that it lacks become materials of their own."""
    base = palette or WEBGPU_PALETTE
    used, index = np.unique(blocks.cells, return_inverse=True)
    names, colors = list(base.names), [*base.colors]
    colored = dict(zip(concrete().names, concrete().colors, strict=True))
    material, plainer, gray = [0] * len(used), [], []
    places = {_state(name): number for number, name in enumerate(base.names) if number}
    for number, state in enumerate(blocks.states[position] for position in used.tolist()):
        plain = state.partition("[")[0]
        if plain in EMPTY:
            continue
        if state not in places and plain in places:
            plainer.append(state)
            places[state] = places[plain]
        if state not in places:
            places[state] = len(names)
            names.append(state)
            colors.append(colored.get(plain, _UNKNOWN))
            gray += [state] if plain not in colored else []
        material[number] = places[state]
    materials = np.array(material, np.int32)[index].reshape(blocks.cells.shape)
    x, y, z = np.nonzero(materials)
    width, height, length = blocks.cells.shape
    grid = BlockGrid((width, height, length), 2.0, np.stack([x, y, z], axis=1))
    scene = BlockScene(grid, materials[x, y, z], Palette(tuple(names), np.array(colors), base.tiles))
    losses = (
        _some(plainer, "lose what stands in brackets"),
        _some(gray, "are grey: no colour is known; give --palette"),
        f"the corner's place {blocks.origin} is left out" if any(blocks.origin) else "",
    )
    return scene, tuple(loss for loss in losses if loss)


def repainted(scene: BlockScene, palette: Palette) -> tuple[BlockScene, tuple[str, ...]]:
    """Returns a scene whose blocks are of a palette's materials: of the same name, else of the nearest colour."""
    own = {name: number for number, name in enumerate(palette.names)}
    used = np.unique(scene.materials)
    number = np.zeros(len(scene.palette), np.int32)
    others = []
    for material in used.tolist():
        name = scene.palette.names[material]
        number[material] = own[name] if name in own else _nearest(scene.palette.colors[material], palette)
        others += [name] if name not in own else []
    loss = _some(others, "become the material of the nearest colour")
    return replace(scene, materials=number[scene.materials], palette=palette), (loss,) if loss else ()


def read_blocks(path: Path, palette: Palette | None = None) -> tuple[BlockScene, Losses]:
    """Reads a file of any format as a scene, and returns what could not be carried over.

    Raises:
        BlockcoreError: it cannot be read, is damaged, or is of no known format.
    """
    found, unread = read(path, palette)
    scene, unlike = adapted(found, BlockScene, palette if isinstance(found, BlockStates) else None)
    return scene, (*unread, *unlike)


def chosen_from(scene: BlockScene, palette: Palette) -> tuple[BlockScene, tuple[str, ...]]:
    """Returns a scene whose blocks are to become materials of a palette, and what that changes, a sentence each.

    A material stays where the palette has its name, with what stands in brackets or without. A block state that it
    lacks is kept, in the region ``OUTSIDE``; any other material becomes the nearest one of the palette.
    """
    used = np.unique(scene.materials).tolist()
    own = {name: number for number, name in enumerate(palette.names[1:], 1)}
    kept = [m for m in used if is_state(scene.palette.names[m]) and _in_palette(scene.palette.names[m], own) is None]
    larger = joined(palette, scene.palette, kept)
    number = np.zeros(len(scene.palette), np.int32)
    others = []
    for material in set(used) - set(kept):
        name = scene.palette.names[material]
        known = _in_palette(name, own)
        number[material] = _nearest(scene.palette.colors[material], palette) if known is None else known
        others += [name] if known is None else []
    number[kept] = np.arange(len(palette), len(larger))
    blocks = np.flatnonzero(np.isin(scene.materials, kept))
    regions = {**scene.regions, OUTSIDE: blocks.astype(np.int32)} if kept else scene.regions
    said = (
        f"{len(blocks)} blocks keep their {len(kept)} materials, such as {scene.palette.names[kept[0]]}, "
        if kept
        else ""
    )
    losses = (
        said and said + "which the palette lacks",
        _some(sorted(others), "begin as the material of the nearest colour"),
    )
    painted = replace(scene, materials=number[scene.materials], palette=larger, regions=regions)
    return painted, tuple(loss for loss in losses if loss)


def _in_palette(name: str, own: Mapping[str, int]) -> int | None:
    return own.get(name, own.get(name.partition("[")[0]))


def joined(first: Palette, second: Palette, which: Sequence[int] | None = None) -> Palette:
    """Returns the materials of one palette, then those of another: ``which``, or those whose names the first lacks."""
    more = [m for m, name in enumerate(second.names) if name not in first.names] if which is None else list(which)
    names = (*first.names, *(second.names[number] for number in more))
    place = {number: len(first) + k for k, number in enumerate(more)}
    tiles = {(place[m], face): tile for (m, face), tile in second.tiles.items() if m in place}
    return Palette(names, np.concatenate([first.colors, second.colors[more]]), {**first.tiles, **tiles})


def beside_blocks(scene: BlockScene) -> tuple[str, ...]:
    """Returns what a scene has that is no block, a sentence each."""
    kinds = (
        (scene.views, f"{len(scene.views)} views are left out"),
        (scene.regions, f"{len(scene.regions)} regions are left out"),
        (scene.source, "where its blocks came from is left out"),
        (scene.lighting != WEBGPU_LIGHTING, "its light is left out"),
    )
    return tuple(sentence for there, sentence in kinds if there)


def face_mean(palette: Palette) -> npt.NDArray[np.float64]:
    """Returns the mean colour of a material's six faces, (M, 3) display values, tiles not counted."""
    weights = np.array([1.0, 1.0, 4.0]) / 6.0
    mean: npt.NDArray[np.float64] = np.einsum("s,msc->mc", weights, palette.colors.astype(np.float64))
    return mean


def block_names(scene: BlockScene) -> tuple[list[str], tuple[str, ...]]:
    """Returns a state for each material of a scene, without a palette that says which blocks there are.

    Returns:
        The states, of which that of Air means nothing, and what they cannot carry.
    """
    blocks, states, others = concrete(), [], []
    used = set(np.unique(scene.materials).tolist())
    for number, name in enumerate(scene.palette.names):
        is_known = is_state(name) or name in WEBGPU_PALETTE.names
        states.append(_state(name) if is_known else blocks.names[_nearest(scene.palette.colors[number], blocks)])
        others += [name] if number in used and not is_known else []
    loss = _some(others, "become concrete of the nearest colour; give --palette for other blocks")
    return states, (loss,) if loss else ()


def _nearest(color: npt.NDArray[Any], palette: Palette) -> int:
    weights = np.array([1.0, 1.0, 4.0])
    distance = (weights[:, None] * (palette.colors[1:] - color) ** 2).sum(axis=(1, 2))
    return int(distance.argmin()) + 1


def _state(name: str) -> str:
    if is_state(name):
        return name
    plain = _EDITORS.get(name) or re.sub(r"[^a-z0-9_.-]+", "_", name.lower()).strip("_") or "block"
    return f"minecraft:{plain}"


def _some(names: list[str], what: str) -> str:
    return f"{len(names)} of the materials, such as {names[0][:60]}, {what}" if names else ""
