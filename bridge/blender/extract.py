# SPDX-License-Identifier: GPL-3.0-or-later
"""From the open Blender scene to a BlockScene: blocks, cameras, and the pictures that the cameras should show.

Blocks come out in a grid that just holds them. A world that this package has put into Blender comes out in its own grid
again, as long as its blocks still fit there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.formats.exchange import chosen_from, joined
from blockcore.model.camera import Camera
from blockcore.model.display import SRGB, Display
from blockcore.model.grid import FACE_NAMES, BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING, Lighting
from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene, Source, View
from bridge.blender import marks
from bridge.blender.cubes import CubeKind, Cubes, find_cubes
from bridge.blender.display import read_display
from bridge.blender.fitting import fitting, surfaces
from bridge.blender.identity import Roster, find_collection, find_named, find_object
from bridge.blender.light import baked, has_light, unmeasured
from bridge.blender.looks import Sight, facing_side, looks, slot_material
from bridge.blender.materials import Named, index_in, named, palette_of
from bridge.blender.regions import read_regions
from bridge.blender.targets import background_image, camera_target
from bridge.clipping import cut_open
from bridge.convert import TO_BLENDER, Frame, Lens, projection, view_matrix
from bridge.lattice import Lattice, find_lattice

Matrix = npt.NDArray[np.float64]

BLOCKS_NAME = "Blocks"
"""The collection that is looked for where no source is named."""
_FIT = 0.01  # of a block: how well cubes must fit a noted grid
_EXACT = 1e-6
_NAMING = (FACE_NAMES.index("top"), FACE_NAMES.index("bottom"), FACE_NAMES.index("east"))
_LOG = logging.getLogger(__name__)


def extract(
    source: Any = None,
    cameras: Sequence[Any] | None = None,
    palette: Palette | None = None,
    need_targets: bool = True,
    bake: bool = True,
    as_boxes: bool = False,
) -> BlockScene:
    """Reads blocks, cameras and targets out of the open Blender scene. Changes nothing in it.

    Args:
        source: a collection or an object; None for the one that ``find_source`` finds.
        cameras: camera objects, each of which must have a target; None for all that have one.
        palette: the palette; None for the one noted on the world, or built from what the cubes' materials show. A block
            whose material a given one does not have starts as its first one after Air; where a world is noted, as the
            nearest one, and blocks of Minecraft that it lacks are kept, in the region ``OUTSIDE``.
        need_targets: whether having no camera with a target is an error; else all cameras are taken as they are.
        bake: whether the scene's own light is measured, where there is one and the blocks' world was not made in
            another, which is noted on it. Else it is left white, for ``light.baked`` to measure.
        as_boxes: whether to take any mesh as the box around it. Else what is no cube is refused.

    Returns:
        The scene. Its source names one object a block: the cube itself, or the object that emits it.

    Raises:
        BlockcoreError: the scene cannot be used; the message names the object and the remedy.
    """
    source = find_source() if source is None else source
    roster = Roster()
    cubes = find_cubes(source, palette is None, as_boxes, roster)
    lattice = find_lattice(cubes.matrices, cubes.describe)
    if lattice.gap:
        _LOG.warning("the cubes leave gaps of %.2g of a block; the blocks fill them", lattice.gap)
    holder, mark = _note(source, cubes)
    grid, grid_to_source = _noted_grid(cubes, lattice, holder, mark) or _tight_grid(lattice)
    wanted, noted_one = palette, mark.palette if mark else None
    both = joined(noted_one, wanted) if noted_one and wanted else noted_one or wanted
    palette, materials = _materials(cubes, grid_to_source, both)
    own = not (mark and mark.lighting) and has_light()
    noted = _turned(mark.lighting if mark and mark.lighting else WEBGPU_LIGHTING, grid_to_source)
    chosen = _chosen(cameras, need_targets)
    scene = BlockScene(
        grid=grid,
        materials=materials,
        palette=palette,
        views=tuple(_fitting_view(camera, grid, grid_to_source) for camera in chosen),
        lighting=unmeasured(grid, _display(chosen)) if own else noted,
        source=Source(bpy.data.filepath, cubes.emitters, grid_to_source),
        regions=read_regions(cubes, roster),
    )
    for camera in (view.camera for view in scene.views):
        if opened := cut_open(camera, grid):
            _LOG.warning(
                "camera %r: its clip start cuts %d blocks open; only Blender shows what is inside", camera.name, opened
            )
    if noted_one and wanted:
        scene, changed = chosen_from(scene, wanted)
        for sentence in changed:
            _LOG.warning("%s", sentence)
    return baked(scene) if own and bake else scene


def find_source(name: str | None = None) -> Any:
    """Returns the collection or object that holds the blocks.

    Args:
        name: of a collection or an object; None for the visible world that this package made, else the collection
            "Blocks", else everything in the scene.

    Raises:
        SceneError: there is none of that name, or several worlds.
    """
    scene = bpy.context.scene
    if name is not None:
        source = find_collection(name) or find_object(name)
        if source is None:
            raise SceneError(f"there is no collection or object called {name!r}; name the one that holds the blocks")
        return source
    worlds = [obj for obj in scene.objects if obj.visible_get() and marks.is_world(obj)]
    if len(worlds) > 1:
        names = ", ".join(repr(obj.name) for obj in worlds)
        raise SceneError(f"there are {len(worlds)} block worlds, {names}; name the one to use, or hide the others")
    if worlds:
        return worlds[0]
    return next((one for one in scene.collection.children_recursive if one.name == BLOCKS_NAME), scene.collection)


def find_camera(name: str) -> Any:
    """Returns the scene's camera object of that name.

    Raises:
        SceneError: there is none.
    """
    camera = find_named(bpy.context.scene.objects, name)
    if camera is None or camera.type != "CAMERA":
        names = ", ".join(repr(obj.name) for obj in bpy.context.scene.objects if obj.type == "CAMERA")
        raise SceneError(f"there is no camera called {name!r}; the scene has {names or 'none'}")
    return camera


def read_view(camera: Any, grid_to_source: npt.ArrayLike, need_target: bool = False) -> View:
    """Reads one camera and its target.

    Args:
        camera: the camera object.
        grid_to_source: (4, 4), blockcore's world to Blender's.
        need_target: whether to refuse a camera without a background image.

    Raises:
        BlockcoreError: the camera is none that blockcore has, or its target is missing or of another size.
    """
    image = background_image(camera)
    if image is None and need_target:
        raise SceneError(f"camera {camera.name!r}: has no target; give it a background image")
    target = None if image is None else camera_target(camera)
    render = bpy.context.scene.render
    size = None
    if target is not None:
        wanted = target.shape[1], target.shape[0]
        # What was rendered of a model shows the frame that the scene had then.
        size = wanted if marks.keeps_frame(camera) or fills_frame(wanted, render) else None
    return View(read_camera(camera, grid_to_source, size), target, marks.read_weight(camera))


def frame_size(render: Any) -> tuple[int, int]:
    """Returns the width and height of a scene's renders, in pixels."""
    share = render.resolution_percentage
    return render.resolution_x * share // 100, render.resolution_y * share // 100


def fills_frame(size: tuple[int, int], render: Any) -> bool:
    """Whether a picture of another size shows the same frame as a scene's renders do, to half a pixel."""
    (width, height), (wide, high) = size, frame_size(render)
    return 2 * abs(width * high - wide * height) <= max(wide, high)


def _display(cameras: Sequence[Any]) -> Display:
    """Returns the transform that the cameras' targets went through: the scene's own, unless we rendered them all."""
    targeted = [camera for camera in cameras if background_image(camera) is not None]
    return SRGB if targeted and all(marks.is_rendered(camera) for camera in targeted) else read_display()


def _fitting_view(camera: Any, grid: BlockGrid, grid_to_source: Matrix) -> View:
    """Reads a view; of a target that was rendered of a model still there, only what lies close to the blocks counts."""
    view, model = read_view(camera, grid_to_source), marks.read_model(camera)
    return view if model is None else fitting(view, grid, grid_to_source, surfaces(model))


def read_camera(camera: Any, grid_to_source: npt.ArrayLike, size: tuple[int, int] | None = None) -> Camera:
    """Reads one camera, as animation and constraints leave it.

    Args:
        camera: the camera object.
        grid_to_source: (4, 4), blockcore's world to Blender's.
        size: width and height of its picture, in pixels; None for those of the scene's render.

    Raises:
        CameraError: it is a panorama, switched off, or has an impossible clip range or scale.
    """
    depsgraph = bpy.context.evaluated_depsgraph_get()
    posed = camera.evaluated_get(depsgraph)
    if not posed.is_evaluated:
        raise SceneError(f"camera {camera.name!r}: is disabled in the viewport; enable it, or choose other cameras")
    data, render = posed.data, bpy.context.scene.render
    lens = Lens(
        type=data.type,
        lens=data.lens,
        sensor_width=data.sensor_width,
        sensor_height=data.sensor_height,
        sensor_fit=data.sensor_fit,
        ortho_scale=data.ortho_scale,
        shift_x=data.shift_x,
        shift_y=data.shift_y,
        clip_start=data.clip_start,
        clip_end=data.clip_end,
    )
    width, height = size or frame_size(render)
    frame = Frame(
        width=width, height=height, pixel_aspect_x=render.pixel_aspect_x, pixel_aspect_y=render.pixel_aspect_y
    )
    return Camera(
        view_matrix(posed.matrix_world, grid_to_source, camera.name),
        projection(lens, frame, camera.name),
        frame.width,
        frame.height,
        camera.name,
    )


def _chosen(cameras: Sequence[Any] | None, need_targets: bool) -> list[Any]:
    every = [obj for obj in bpy.context.scene.objects if obj.type == "CAMERA"] if cameras is None else list(cameras)
    if not need_targets:
        return every
    if not every:
        raise SceneError("there is no camera; add one and give it the picture it should show as a background image")
    blind = [camera for camera in every if background_image(camera) is None]
    if blind and (cameras is not None or len(blind) == len(every)):
        raise SceneError(f"camera {blind[0].name!r}: has no target; give it a background image")
    return [camera for camera in every if camera not in blind]


def _note(source: Any, cubes: Cubes) -> tuple[Any, marks.WorldMark | None]:
    """Returns what a world is noted on, the one object that emits all cubes or else the source, and the note."""
    emitters = set(cubes.emitters)
    emitter = find_object(emitters.pop()) if len(emitters) == 1 else source
    mark = marks.read_world(emitter)
    return (emitter, mark) if mark else (source, marks.read_world(source))


def _noted_grid(
    cubes: Cubes, lattice: Lattice, holder: Any, mark: marks.WorldMark | None
) -> tuple[BlockGrid, Matrix] | None:
    """Returns the grid noted on ``holder`` and its way to Blender's world, if every cube fits into one of its cells."""
    if mark is None:
        return None
    frame = TO_BLENDER.copy()
    if isinstance(holder, bpy.types.Object):
        frame = np.array(holder.matrix_world, dtype=np.float64) @ TO_BLENDER
    scale = float(np.cbrt(abs(np.linalg.det(frame[:3, :3]))))
    if not scale or abs(mark.world_scale * scale / lattice.block_size - 1.0) > _FIT:
        return None
    centers = np.concatenate([cubes.matrices[:, :3, 3], np.ones((len(cubes), 1))], axis=1)
    sx, sy, sz = mark.grid_size
    places = (centers @ np.linalg.inv(frame).T)[:, :3] / mark.world_scale + (sx / 2 - 0.5, -0.5, sz / 2 - 0.5)
    cells = np.rint(places)
    turn = lattice.rotation.T @ frame[:3, :3] / scale
    fits = np.abs(places - cells).max() < _FIT and np.abs(turn - np.rint(turn)).max() < _FIT
    if not fits or (cells < 0).any() or (cells >= (sx, sy, sz)).any():
        return None
    if abs(scale - 1.0) < _EXACT:
        scale = 1.0
    frame[:3, :3] /= scale
    return BlockGrid((sx, sy, sz), mark.world_scale * scale, cells.astype(np.int32)), frame


def _tight_grid(lattice: Lattice) -> tuple[BlockGrid, Matrix]:
    """Returns the grid that just holds the lattice's cells, and its way to Blender's world."""
    (nx, ny, nz), size = lattice.size, lattice.block_size
    x, y, z = lattice.cells.T
    frame = np.eye(4)
    frame[:3, :3] = lattice.rotation @ TO_BLENDER[:3, :3]
    frame[:3, 3] = lattice.origin + lattice.rotation @ (nx / 2 * size, ny / 2 * size, 0.0)
    return BlockGrid((nx, nz, ny), size, np.stack([x, z, ny - 1 - y], axis=1).astype(np.int32)), frame


def _materials(cubes: Cubes, grid_to_source: Matrix, palette: Palette | None) -> tuple[Palette, npt.NDArray[np.int32]]:
    """Returns the palette, the cubes' own if None is given, and the material of each cube, as the world sees it."""
    kind, turns, row = _turned_kinds(cubes, grid_to_source)
    names = [_name(cubes.kinds[k], turn) for k, turn in zip(kind, turns, strict=True)]
    if any(block.name == "Air" for block in names):
        bad = int(np.flatnonzero(row == next(i for i, block in enumerate(names) if block.name == "Air"))[0])
        raise SceneError(f"object {cubes.emitters[bad]!r}: its material is Air; remove it, or give it another")
    if palette is None:
        shown = looks([_sight(cubes.kinds[k], turn, grid_to_source) for k, turn in zip(kind, turns, strict=True)])
        palette, found = palette_of(list(zip(names, shown, strict=True)))
    else:
        found = index_in(palette, names)
    return palette, np.array(found, dtype=np.int32)[row]


def _turned_kinds(cubes: Cubes, grid_to_source: Matrix) -> tuple[list[int], Matrix, npt.NDArray[np.int64]]:
    """Returns the kinds as they are turned: kind, the grid's axes in the cube's (n, 3, 3), row of each cube."""
    edges = cubes.matrices[:, :3, :3]
    axes = edges / np.linalg.norm(edges, axis=1, keepdims=True)
    turns = np.rint(axes.transpose(0, 2, 1) @ grid_to_source[:3, :3]).astype(np.int64)
    code = (turns.reshape(-1, 9) + 1) @ 3 ** np.arange(9) + cubes.kind.astype(np.int64) * 3**9
    _, first, row = np.unique(code, return_index=True, return_inverse=True)
    return cubes.kind[first].tolist(), turns[first].astype(np.float64), row


def _name(kind: CubeKind, turn: Matrix) -> Named:
    shown = [kind.skin.index[kind.box.sides[facing_side(turn, direction)][0]] for direction in _NAMING]
    return named(kind.said, [slot_material(kind.materials, int(index)) for index in shown])


def _sight(kind: CubeKind, turn: Matrix, grid_to_source: Matrix) -> Sight:
    return Sight(kind.skin, kind.box, kind.materials, turn, grid_to_source[:3, :3], kind.color)


def _turned(lighting: Lighting, grid_to_source: Matrix) -> Lighting:
    """Keeps the sun where it is in Blender's world when the grid is turned in it."""
    turn = TO_BLENDER[:3, :3].T @ grid_to_source[:3, :3]
    if np.abs(turn - np.eye(3)).max() < _EXACT:
        return lighting
    x, y, z = (turn.T @ lighting.sun_direction).tolist()
    return replace(lighting, sun_direction=(x, y, z))
