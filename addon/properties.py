# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel shows and a .blend keeps; and the one place where that becomes a ``Job`` and back."""

from contextlib import suppress
from dataclasses import replace

import bpy
import numpy as np
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from bpy.types import PropertyGroup

from blockcore.errors import BlockcoreError, SceneError, SettingsError
from blockcore.formats.block_facts import GROUPS, long_name, short_name
from blockcore.model.palette import BOTTOM, SIDE, TOP
from blockcore.model.rules_text import EVERYWHERE
from blockcore.model.scene import BlockScene
from blockcore.model.settings import SETTINGS, OptimizeSettings
from bridge.blender.extract import extract
from bridge.blender.identity import find_named
from bridge.blender.jobs import find_source_of
from bridge.blender.own_palette import has_own_palette, keep_palette, recolor, rename_material
from bridge.blender.targets import background_image
from bridge.blender.world_edit import material_names
from bridge.job import OWN, Job
from bridge.model.wish import Wish

from . import layouts, offered, status, wording
from .session import session

QUALITY = {
    "DIRECT": {"method": "auto"},
    "GRADUAL": {"method": "gradient", "steps": 300, "learning_rate": 0.3, "patience": 60},
    "THOROUGH": {"method": "gradient", "steps": 1500, "learning_rate": 0.15, "patience": 300},
}


def _changed(self, context):
    """The blocks, palette or pictures are others now: what was found out about them is old."""
    status.forget()


def _palette_changed(self, context):
    """An own palette begins as a copy of the one before it."""
    scene = self.id_data
    if self.palette == "own" and not has_own_palette(scene):
        keep_palette(scene, status.listed_palette(scene))
    status.forget()


ALL = "all"
"""The choice of every group of blocks."""


def group_items():
    """Returns the groups of blocks as the choices of a property."""
    return [(group, group.capitalize(), f"Blocks of {group}") for group in GROUPS]


def _set_quality(self, context):
    for name, value in QUALITY.get(self.quality, {}).items():
        setattr(self, name, value)


def _setting_changed(self, context):
    session.hush()


def changed_since_preset(group) -> list[str]:
    """Returns the names of the settings that are no longer as their quality has them."""
    return _differing(group, QUALITY.get(group.quality, {}))


def _differing(group, preset):
    values = {name: getattr(group, name) for name in preset}
    return [n for n, v in preset.items() if (abs(values[n] - v) > 1e-6 if isinstance(v, float) else values[n] != v)]


def make_own(scene) -> None:
    """Makes the palette that is chosen the scene's own, which can be edited; one that is stays as it is.

    Raises:
        BlockcoreError: it cannot be read.
    """
    group = scene.optimize_materials
    if group.palette != "own":
        keep_palette(scene, status.palette_of(scene))
        group.palette = "own"


def _swatch(slot: int, name: str, description: str):
    """A material's color; a change makes the palette the scene's own."""

    def change(self, value):
        colors = list(self.colors)
        colors[3 * slot : 3 * slot + 3] = value
        with suppress(BlockcoreError):  # the panel says above what is wrong with the palette
            make_own(self.id_data)
            recolor(self.id_data, self.name, np.reshape(colors, (3, 3)))
            self.colors = colors

    return FloatVectorProperty(
        name=name,
        description=description,
        subtype="COLOR_GAMMA",
        min=0,
        max=1,
        get=lambda self: self.colors[3 * slot : 3 * slot + 3],
        set=change,
    )


def _rename(item, title: str) -> None:
    """Renames a material in the scene's own palette; its limit goes with it."""
    title = title.strip()
    if title in ("", short_name(item.name)):
        return
    with suppress(BlockcoreError):
        make_own(item.id_data)
        limit, item.limit = item.limit, 0
        item.name = rename_material(item.id_data, item.name, long_name(title, item.name))
        item.limit = limit


def _rule(settings, name):
    """Returns what the settings' text of a rule says, as a structure; the default where it makes no sense."""
    try:
        return SETTINGS[name].checked(getattr(settings, name))
    except SettingsError:
        return SETTINGS[name].default


def _set_rule(settings, name, value) -> None:
    setattr(settings, name, SETTINGS[name].plain(value))


def _settings_around(item):
    """Returns the settings that the panel shows together with an item of its lists."""
    return item.id_data.optimize_materials.settings


def limits_of(settings):
    """Returns the most blocks of materials, by name, as far as what the settings say makes sense."""
    return _rule(settings, "limits")


def _limit(item) -> int:
    return limits_of(_settings_around(item)).get(item.name, 0)


def _set_limit(item, most: int) -> None:
    settings = _settings_around(item)
    others = {name: limit for name, limit in limits_of(settings).items() if name != item.name}
    _set_rule(settings, "limits", others | ({item.name: most} if most else {}))


def _is_locked(item) -> bool:
    return item.name in _rule(_settings_around(item), "locked")


def _set_locked(item, is_locked: bool) -> None:
    lock_region(_settings_around(item), item.name, is_locked)


def lock_region(settings, name: str, is_locked: bool = True) -> None:
    """Adds a region to those whose blocks keep their materials, or takes it from them."""
    others = [other for other in _rule(settings, "locked") if other != name]
    _set_rule(settings, "locked", (*others, name) if is_locked else tuple(others))


def _world_materials(self, context, words):
    return material_names(context.object) if context.object is not None else ()


def _paint_changed(self, context):
    """Takes a part of a material's name for the whole, and nothing that is none."""
    names = _world_materials(self, context, self.paint)
    if self.paint and self.paint not in names:
        self.paint = next((name for name in names if self.paint.lower() in name.lower()), "")


class BlocksRegion(PropertyGroup):
    """A part of the blocks that rules can name, as the panel lists it."""

    locked: BoolProperty(
        name="Locked", description="Its blocks keep the materials they have", get=_is_locked, set=_set_locked
    )


class BlocksMaterial(PropertyGroup):
    """A material of the palette, as the panel lists it."""

    title: StringProperty(
        name="Name", description="Name of the material", get=lambda self: short_name(self.name), set=_rename
    )
    use: BoolProperty(name="Allowed", description="Blocks may get this material", default=True)
    limit: IntProperty(
        name="At Most",
        description="The most blocks that may get this material; 0 for any number",
        min=0,
        get=_limit,
        set=_set_limit,
    )
    colors: FloatVectorProperty(size=9, options={"HIDDEN"})
    top: _swatch(TOP, "Top", "Color of a block's top")
    side: _swatch(SIDE, "Side", "Color of a block's sides")
    bottom: _swatch(BOTTOM, "Bottom", "Color of a block's underside")


class BlocksView(PropertyGroup):
    """A camera that may take part."""

    camera: PointerProperty(type=bpy.types.Object, name="Camera", description="The camera")
    use: BoolProperty(
        name="Use",
        description="Compare the blocks with this camera's target picture",
        default=True,
        update=lambda self, context: session.hush(),
    )


class BlocksSettings(PropertyGroup):
    """Mirrors ``OptimizeSettings``: the same names, defaults and choices."""

    quality: EnumProperty(
        name="Quality",
        description="How to look for the best materials",
        items=[
            ("DIRECT", "Direct", "Find the best material of every block in one go; fast"),
            ("GRADUAL", "Gradual", "Come nearer step by step, which can be watched"),
            ("THOROUGH", "Thorough", "Come nearer in many small steps; for comparisons that have no direct answer"),
            ("CUSTOM", "Custom", "The values set under Advanced"),
        ],
        default="DIRECT",
        update=_set_quality,
    )
    __annotations__.update(
        {setting.name: wording.property_of(setting, _setting_changed) for setting in SETTINGS.values()}
    )


def _model_changed(self, context):
    layouts.redraw_views()


class BlocksWords(PropertyGroup):
    """What the blocks should look like in words, as the panel *Look from Words* shows it."""

    prompt: StringProperty(name="Prompt", description="What the blocks should look like, in words")
    negative: StringProperty(name="Not", description="What they should not look like")
    model: StringProperty(
        name="Model",
        description="The folder of a text-to-image pipeline, such as Stable Diffusion's; nothing is fetched",
        subtype="DIR_PATH",
    )
    steps: IntProperty(
        name="Steps", description="How often the model is asked", default=1000, min=1, max=100_000, soft_max=5000
    )
    size: IntProperty(
        name="Picture Size", description="Edge of the pictures that it sees, in pixels", default=512, min=16, max=2048
    )
    scale: FloatProperty(name="Strength", description="How much the words count", default=100.0, min=0.0, max=1000.0)


class BlocksModel(PropertyGroup):
    """What blocks are made of a model, as the panel *Blocks from Model* shows it."""

    kind: EnumProperty(
        name="Model",
        description="What blocks are made of",
        items=[
            ("SELECTION", "Selection", "The selected objects, with their children"),
            ("OBJECT", "Object", "One object, with its children"),
            ("COLLECTION", "Collection", "All of a collection"),
        ],
        update=_model_changed,
    )
    object: PointerProperty(type=bpy.types.Object, name="Object", description="The model", update=_model_changed)
    collection: PointerProperty(
        type=bpy.types.Collection, name="Collection", description="The model", update=_model_changed
    )
    across: IntProperty(
        name="Blocks Across",
        description="How many blocks there are along the model's longest side",
        default=36,
        min=1,
        max=4096,
        soft_min=8,
        soft_max=256,
        update=_model_changed,
    )
    fill: EnumProperty(
        name="Inside",
        description="What is inside the model",
        items=[
            ("shell", "Hollow", "Only blocks that can be seen from outside"),
            ("solid", "Solid", "Blocks all through"),
        ],
        update=_model_changed,
    )
    axes: EnumProperty(
        name="Along",
        description="Along which axes the blocks lie",
        items=[("world", "World", "The world's axes"), ("object", "Object", "The axes of the model's first object")],
        update=_model_changed,
    )
    palette: EnumProperty(
        name="Palette",
        description="The materials that blocks can get",
        items=[
            ("webgpu", "Built-in", "The materials of the WebGPU block editor"),
            ("file", "From File", "A palette in a file"),
            ("own", "Own", "The materials under Palette, as they were edited; the .blend keeps them"),
        ],
        update=_palette_changed,
    )
    palette_file: StringProperty(name="File", description="The palette's file (.json)", subtype="FILE_PATH")
    views: IntProperty(
        name="Cameras",
        description="How many cameras around the model the blocks are judged by",
        default=24,
        min=1,
        max=256,
        soft_max=64,
    )
    beside: BoolProperty(name="Beside the Model", description="Show the blocks beside the model, not instead of it")
    show_grid: BoolProperty(
        name="Show Grid",
        description="Show in the 3D view where the blocks will lie",
        update=_model_changed,
    )


class BlocksScene(PropertyGroup):
    """All that the panel sets up, kept in the scene as ``scene.optimize_materials``."""

    blocks_kind: EnumProperty(
        name="Blocks From",
        description="What holds the blocks",
        items=[
            ("collection", "Collection", "All blocks in a collection", "OUTLINER_COLLECTION", 0),
            ("object", "Object", "The blocks that an object makes, such as a block map", "OBJECT_DATA", 1),
        ],
        update=_changed,
    )
    as_boxes: BoolProperty(
        name="Meshes as Boxes",
        description="Take any mesh as the box around it; else what is no cube is refused",
        update=_changed,
    )
    collection: PointerProperty(
        type=bpy.types.Collection,
        name="Collection",
        description="The collection that holds the blocks",
        update=_changed,
    )
    object: PointerProperty(
        type=bpy.types.Object,
        name="Object",
        description="The object that makes the blocks",
        poll=lambda self, candidate: candidate.type in {"MESH", "EMPTY", "POINTCLOUD", "CURVES"},
        update=_changed,
    )
    palette: EnumProperty(
        name="Palette",
        description="The materials that blocks can get",
        items=[
            ("webgpu", "Built-in", "The materials of the WebGPU block editor"),
            ("file", "From File", "A palette in a file"),
            ("scene", "Scene Materials", "The materials of the blocks in this scene"),
            ("own", "Own", "The materials below, as they were edited; the .blend keeps them"),
        ],
        update=_palette_changed,
    )
    palette_file: StringProperty(
        name="File", description="The palette's file (.json)", subtype="FILE_PATH", update=_changed
    )
    listed: EnumProperty(
        name="Group",
        description="Which of the palette's blocks are listed, and meant by All and None",
        items=[(ALL, "All", "Every material"), *group_items()],
    )
    materials: CollectionProperty(type=BlocksMaterial)
    active_material: IntProperty(name="Material", description="The material chosen in the list")
    regions: CollectionProperty(type=BlocksRegion)
    views: CollectionProperty(type=BlocksView)
    active_view: IntProperty(name="View", description="The camera chosen in the list")
    result: EnumProperty(
        name="Result",
        description="Where the materials found are put",
        items=[
            ("new_object", "New Object", "Make one object with all the blocks, and hide the original"),
            ("in_place", "In Place", "Give the materials to the scene's own blocks"),
        ],
    )
    settings: PointerProperty(type=BlocksSettings)
    paint: StringProperty(
        name="Paint With",
        description="The material that the brush gives blocks",
        search=_world_materials,
        update=_paint_changed,
    )
    outcome_object: PointerProperty(
        type=bpy.types.Object, name="Result", description="The object that shows the last result", options={"HIDDEN"}
    )
    words: PointerProperty(type=BlocksWords, name="Look from Words", description="How materials are found from words")
    model_kind: EnumProperty(
        name="Model",
        description="What targets are rendered of",
        items=[("collection", "Collection", "All of a collection"), ("object", "Object", "One object")],
    )
    model_collection: PointerProperty(
        type=bpy.types.Collection,
        name="Model",
        description="The collection to render",
        poll=lambda self, candidate: offered.has_surface(candidate),
    )
    model_object: PointerProperty(
        type=bpy.types.Object,
        name="Model",
        description="The object to render, with its children",
        poll=lambda self, candidate: offered.has_surface(candidate),
    )
    frame_model: BoolProperty(
        name="Frame the Model",
        description="Move cameras whose pictures would show nothing of the model until they show all of it",
        default=True,
    )
    replace_targets: BoolProperty(
        name="Replace Targets", description="Also render for cameras that have a target already"
    )
    model: PointerProperty(type=BlocksModel, name="Blocks from Model", description="How blocks are made of a model")

    @property
    def source(self):
        """The collection or object that holds the blocks, or None."""
        return self.collection if self.blocks_kind == "collection" else self.object

    @property
    def target_model(self):
        """The collection or object that targets are rendered of, or None."""
        return self.model_collection if self.model_kind == "collection" else self.model_object


CLASSES = (BlocksRegion, BlocksMaterial, BlocksView, BlocksSettings, BlocksWords, BlocksModel, BlocksScene)


def wish_of(scene) -> Wish:
    """Returns what blocks of a model the panel asks for."""
    group = scene.optimize_materials.model
    return Wish(across=group.across, fill=group.fill, axes=group.axes, views=group.views, beside=group.beside)


def palette_words(scene) -> list[str]:
    """Returns the command line's words for the palette of a model's blocks.

    Raises:
        SceneError: it is to be a file, and none is chosen.
    """
    group = scene.optimize_materials.model
    if group.palette == "webgpu":
        return []
    if group.palette == "own":
        return [f"--palette={OWN}"]
    if not group.palette_file:
        raise SceneError("no palette is chosen; choose its file, or the built-in one")
    return [f"--palette={bpy.path.abspath(group.palette_file)}"]


def job_of(scene, *, need_targets: bool = True) -> Job:
    """Returns what the panel says as a job, of no cameras where no targets are needed.

    Raises:
        SceneError: there are no blocks to work on, or every camera or material is ticked off.
    """
    group = scene.optimize_materials
    source = source_of(scene)
    ticked = [view.camera for view in group.views if view.use and view.camera] if need_targets else []
    if need_targets and group.views and not ticked:
        raise SceneError("no camera is ticked; tick at least one under Views")
    cameras = tuple(camera.name_full for camera in ticked if background_image(camera) is not None)
    if ticked and not cameras:
        raise SceneError(f"camera {ticked[0].name!r}: has no target; give it a background image, or render targets")
    return Job(
        blocks=source.name_full,
        blocks_kind=group.blocks_kind,
        palette=group.palette,
        palette_file=group.palette_file if group.palette == "file" else "",
        cameras=cameras,
        as_boxes=group.as_boxes,
        result=group.result,
        settings=_with_ticks(group),
    )


def _with_ticks(group) -> OptimizeSettings:
    """Returns the settings, with what the materials' ticks allow everywhere."""
    settings = settings_of(group.settings)
    ticked = [material.name for material in group.materials if material.use]
    if group.materials and not ticked:
        raise SceneError("no material is ticked; tick at least one under Palette")
    if len(ticked) == len(group.materials):
        return settings
    allowed = settings.rules.allowed
    everywhere = [name for name in ticked if name in allowed.get(EVERYWHERE, ticked)]
    return replace(settings, allowed={**allowed, EVERYWHERE: everywhere})


def _show_allowed(allowed, group) -> None:
    everywhere = allowed.get(EVERYWHERE, ())
    regions = {region: names for region, names in allowed.items() if region != EVERYWHERE}
    group.settings.allowed = SETTINGS["allowed"].plain(regions)
    for material in group.materials:
        material.use = not everywhere or material.name in everywhere


def settings_of(group) -> OptimizeSettings:
    """Returns the settings that the panel shows; of ``allowed``, what it says about regions."""
    values = {name: getattr(group, name) for name in SETTINGS}
    # Blender keeps single precision: 0.3 would come back as 0.30000001192…
    return OptimizeSettings(**{k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in values.items()})


def show_job(job: Job, scene) -> None:
    """Sets the panel to what a job says.

    Raises:
        SceneError: the file has no such collection, object or camera.
    """
    group = scene.optimize_materials
    source = find_source_of(job)
    if source is None:
        raise SceneError(f"there is no {job.blocks_kind} {job.blocks!r} in this file; open the file the job is for")
    cameras = [find_named(scene.objects, name) for name in job.cameras]
    if None in cameras:
        missing = job.cameras[cameras.index(None)]
        raise SceneError(f"there is no camera {missing!r} in this scene; open the file the job is for")
    group.blocks_kind, group.palette, group.palette_file = job.blocks_kind, job.palette, job.palette_file
    setattr(group, job.blocks_kind, source)
    group.as_boxes, group.result = job.as_boxes, job.result
    show_settings(job.settings, group.settings)
    status.refresh(scene)
    for view in group.views:
        view.use = not cameras or view.camera in cameras
    _show_allowed(job.settings.rules.allowed, group)


def show_settings(settings: OptimizeSettings, group) -> None:
    """Sets the panel to ``settings``."""
    for name, value in settings.to_dict().items():
        try:
            setattr(group, name, value)
        except TypeError as error:  # a word that is not among the choices
            raise SettingsError(f"{name}: the panel cannot show {value!r}") from error
    group.quality = next((name for name, preset in QUALITY.items() if not _differing(group, preset)), "CUSTOM")


def source_of(scene):
    """Returns the collection or object that holds the blocks.

    Raises:
        SceneError: none is chosen.
    """
    group = scene.optimize_materials
    if group.source is None:
        raise SceneError(f"no {group.blocks_kind} holds the blocks; choose one under Blocks")
    return group.source


def blind_cameras(scene) -> list[str]:
    """Returns the names of ticked cameras that have no target, and so take no part."""
    ticked = [view.camera for view in scene.optimize_materials.views if view.use and view.camera]
    return [camera.name for camera in ticked if background_image(camera) is None]


def blocks_of(scene, cameras, need_targets: bool, source=None) -> BlockScene:
    """Reads the blocks that are chosen, or those of ``source``, and cameras, as ``extract`` does, without their light.

    Raises:
        BlockcoreError: none are chosen, or they cannot be used.
    """
    as_boxes = scene.optimize_materials.as_boxes
    return extract(source or source_of(scene), cameras, need_targets=need_targets, bake=False, as_boxes=as_boxes)


def cameras_of(scene) -> list:
    """Returns the ticked cameras.

    Raises:
        SceneError: there is none.
    """
    cameras = [view.camera for view in scene.optimize_materials.views if view.use and view.camera]
    if not cameras:
        raise SceneError("no camera is ticked; add cameras, or tick some under Views")
    return cameras


def choose_blocks(scene, source) -> None:
    """Makes a collection or object the one that holds the blocks."""
    group = scene.optimize_materials
    is_collection = isinstance(source, bpy.types.Collection)
    group.blocks_kind = "collection" if is_collection else "object"
    setattr(group, group.blocks_kind, source)
