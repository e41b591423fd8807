# SPDX-License-Identifier: GPL-3.0-or-later
"""The object that shows a model's blocks: what it was made of and how, what was painted by hand since, how it is shown.

Its points have, beside their material, the one that was found for them; where the two differ, somebody painted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

from blockcore.errors import SceneError
from blockcore.io.damage import DAMAGE
from blockcore.io.files import Json, parse_json
from blockcore.model.palette import AIR, Palette
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings
from bridge.blender import curtain, marks
from bridge.blender.apply import revert
from bridge.blender.regions import groups_of
from bridge.blender.world import add_world, world_materials
from bridge.model.edits import HAND, Edits
from bridge.model.wish import Wish

NAME = "Model Blocks"
FOUND = "found"
_MODEL, _ORDER = "blockcore_model", "blockcore_order"
_FRAME, _STOOD = "blockcore_frame", "blockcore_stood"
_APART = 1.2  # widths of a model, where blocks are shown beside it


@dataclass(frozen=True)
class Order:
    """How a model's blocks are made.

    Attributes:
        wish: what blocks.
        settings: how their materials are chosen.
    """

    wish: Wish
    settings: OptimizeSettings

    def to_dict(self) -> Json:
        """Returns it as JSON values."""
        return {"wish": self.wish.to_dict(), "settings": self.settings.to_dict()}

    @staticmethod
    def from_dict(values: Json) -> Order:
        """Reads JSON values."""
        return Order(Wish.from_dict(values["wish"]), OptimizeSettings.from_dict(values["settings"]))


def put_blocks(scene: BlockScene, objects: Sequence[Any], order: Order, earlier: Any | None = None) -> Any:
    """Shows a model's blocks instead of it, or beside it, and links them to it.

    Args:
        scene: the blocks, with their source; the region ``HAND`` tells which keep what was painted by hand.
        objects: the model's.
        order: how they were made.
        earlier: the object that showed the blocks before; the new one takes its place.

    Returns:
        The object that shows them.
    """
    assert scene.source is not None
    name, collection = NAME, bpy.context.scene.collection
    moved = Matrix.Translation((_APART * _width(objects) if order.wish.beside else 0.0, 0.0, 0.0))
    if earlier is not None:
        name, collection = earlier.name, earlier.users_collection[0]
        moved = earlier.matrix_world @ _matrix(earlier, _FRAME).inverted_safe()
        revert(earlier)
    regions = {region: blocks for region, blocks in scene.regions.items() if region != HAND}
    world = add_world(replace(scene, regions=regions), name, collection)
    _note(world, scene, objects, order)
    world.matrix_world = moved @ world.matrix_world
    if not order.wish.beside:
        curtain.hide(world, objects)
    return world


def _note(world: Any, scene: BlockScene, objects: Sequence[Any], order: Order) -> None:
    found = scene.materials.copy()
    found[scene.regions.get(HAND, [])] = AIR
    world.data.attributes.new(FOUND, "INT", "POINT").data.foreach_set("value", found)
    world[_MODEL] = {str(number): obj for number, obj in enumerate(objects)}
    world[_ORDER] = json.dumps(order.to_dict())
    world[_FRAME] = _plain(world.matrix_world)
    world[_STOOD] = _plain(objects[0].matrix_world)


def _plain(matrix: Any) -> list[float]:
    return [value for row in matrix for value in row]


def _matrix(world: Any, name: str) -> Any:
    """Returns a noted matrix; where none is, one that changes nothing."""
    values = list(world.get(name, ()))
    return Matrix([values[row : row + 4] for row in (0, 4, 8, 12)]) if len(values) == 16 else Matrix.Identity(4)


def _width(objects: Sequence[Any]) -> float:
    across = [(obj.matrix_world @ Vector(corner)).x for obj in objects for corner in obj.bound_box]
    return float(max(across) - min(across))


def model_of(world: Any) -> list[Any]:
    """Returns the objects that a world was made of, as far as they are still there; empty where none is noted."""
    return [obj for obj in _noted(world) if isinstance(obj, bpy.types.Object)]


def models_in(objects: Iterable[Any]) -> list[Any]:
    """Returns objects, each once; in place of blocks that were made of a model, that model."""
    return list(dict.fromkeys(one for obj in objects for one in model_of(obj) or [obj]))


def family(objects: Iterable[Any]) -> list[Any]:
    """Returns objects as ``models_in`` does, with all their children."""
    return list(dict.fromkeys(one for obj in models_in(objects) for one in (obj, *obj.children_recursive)))


def blocks_of(objects: Sequence[Any], beside: bool, first: Sequence[Any] = ()) -> Any | None:
    """Returns what shows a model's blocks where new ones would be shown, if anything in sight does.

    Args:
        objects: the model's.
        beside: whether the new ones shall be beside the model.
        first: which objects to look at before all others.
    """
    wanted = set(objects)
    for world in (*first, *bpy.context.scene.objects):
        if wanted.intersection(model_of(world)) and world.visible_get() and _is_beside(world) == beside:
            return world
    return None


@contextmanager
def revealed(objects: Sequence[Any]) -> Iterator[None]:
    """Shows, for a while, a model that blocks have taken the place of."""
    fronts = [world for world in curtain.in_front(objects) if model_of(world)]
    fronts = [world for world in fronts if any(obj.hide_viewport for obj in curtain.behind(world))]
    for world in fronts:
        curtain.show(world, True)
    try:
        yield
    finally:
        for world in fronts:
            curtain.show(world, False)


def _is_beside(world: Any) -> bool:
    try:
        return order_of(world).wish.beside
    except SceneError:  # what cannot be read is made anew
        return False


def _noted(world: Any) -> list[Any]:
    """Returns what is noted as a world's model; None for what was removed since."""
    noted = world.get(_MODEL)
    return list(noted.values()) if hasattr(noted, "values") else []


def order_of(world: Any) -> Order:
    """Returns how a model's blocks were made.

    Raises:
        SceneError: the object shows no blocks of a model, or that is gone.
    """
    if not model_of(world):
        raise SceneError(f"object {world.name!r}: has no model any more; choose one, and make blocks of it")
    try:
        return Order.from_dict(parse_json(world[_ORDER]))
    except DAMAGE as error:
        raise SceneError(f"object {world.name!r}: does not tell how it was made; make the blocks anew") from error


def edits_of(world: Any) -> Edits:
    """Returns what a user did to a model's blocks, where it would be now if the model has moved as a whole."""
    points = np.empty(3 * len(world.data.vertices), dtype=np.float32)
    world.data.vertices.foreach_get("co", points)
    materials = world_materials(world)
    found = materials
    if FOUND in world.data.attributes:
        found = np.empty(len(materials), dtype=np.int32)
        world.data.attributes[FOUND].data.foreach_get("value", found)
    moved = model_of(world)[0].matrix_world @ _matrix(world, _STOOD).inverted_safe()
    frame = np.array(moved @ _matrix(world, _FRAME), dtype=np.float64)
    places = points.reshape(-1, 3).astype(np.float64) @ frame[:3, :3].T + frame[:3, 3]
    regions = {name: blocks.astype(np.int32) for name, blocks in groups_of(world).items()}
    return Edits(places, materials, np.flatnonzero(materials != found).astype(np.int32), regions)


def palette_of(world: Any) -> Palette:
    """Returns the materials that a world's blocks may have.

    Raises:
        SceneError: the object is no world of blocks.
    """
    mark = marks.read_world(world)
    if mark is None:
        raise SceneError(f"object {world.name!r}: is no world of blocks; choose another")
    return mark.palette
