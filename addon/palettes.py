# SPDX-License-Identifier: GPL-3.0-or-later
"""The palette: the blocks of Minecraft's resource packs as one, which of its materials are listed, and editing it."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatVectorProperty, IntProperty, StringProperty
from bpy.types import Operator, OperatorFileListElement, UIList
from bpy_extras.io_utils import ExportHelper, ImportHelper

from blockcore.formats.block_facts import group_of
from blockcore.formats.palette_file import read_palette, write_palette
from blockcore.formats.resource_pack import PackChoice, read_names, read_packs
from bridge.blender.own_palette import add_material, keep_palette, remove_material

from . import properties, status, thumbnails
from .reporting import reporting

_CLIENT = ".jar"
_SLOTS = ("top", "side", "bottom")
_FEW = 12
"""Materials that are found without a field to search in."""


def is_listed(material, group) -> bool:
    """Whether the panel lists a material of the palette."""
    return group in (properties.ALL, group_of(material.name))


def _color(name: str, description: str):
    return FloatVectorProperty(
        name=name, description=description, subtype="COLOR_GAMMA", min=0, max=1, default=(0.47, 0.75, 0.35)
    )


class BLOCKS_OT_resource_packs(Operator, ImportHelper):
    """Makes a palette of packs."""

    bl_idname = "blocks.resource_packs"
    bl_label = "Resource Packs…"
    bl_description = (
        "Take the blocks of resource packs as the palette. Choose packs together with the game's own .jar, "
        "which lies beneath them"
    )
    bl_options = {"UNDO"}

    filter_glob: StringProperty(default="*.zip;*.jar", options={"HIDDEN"})
    files: CollectionProperty(type=OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    groups: EnumProperty(
        name="Groups",
        description="Take only blocks of these groups; none for all",
        items=properties.group_items(),
        options={"ENUM_FLAG"},
    )
    only: StringProperty(
        name="Only",
        description="Text file of the blocks to take, one a line; leave empty to take all",
        subtype="FILE_PATH",
    )
    falling: BoolProperty(name="Falling Blocks", description="Take blocks that fall, such as sand", default=False)
    tinted: BoolProperty(name="Grass and Leaves", description="Take blocks that the biome colors", default=True)
    grass: _color("Grass", "Color of grass in the biome")
    leaves: _color("Leaves", "Color of leaves in the biome")
    game: StringProperty(name="Version", description="Leave out blocks that came later than this version, such as 1.16")
    texels: IntProperty(name="Texels", description="The most texels along a tile's side", default=16, min=1, max=64)

    @reporting
    def execute(self, context):
        """Reads the packs, keeps their palette as a file and chooses it."""
        packs = self._packs()
        choice = PackChoice(
            only=read_names(Path(bpy.path.abspath(self.only))) if self.only else (),
            groups=sorted(self.groups),
            grass=tuple(self.grass) if self.tinted else None,
            leaves=tuple(self.leaves) if self.tinted else None,
            falling=self.falling,
            game=self.game,
            texels=self.texels,
        )
        found = read_packs(packs, choice)
        folder = Path(bpy.utils.user_resource("DATAFILES", path="blockcore"))
        path = folder / f"{packs[0].stem}.json"
        write_palette(path, found.palette)
        group = context.scene.optimize_materials
        group.palette_file, group.palette = str(path), "file"
        status.refresh(context.scene)
        taken, left = len(found.palette) - 1, len(found.left_out)
        self.report({"INFO"}, f"{taken:,} blocks; {left:,} left out, such as those that are no full cubes")
        return {"FINISHED"}

    def _packs(self) -> list[Path]:
        """Returns the packs by name, the game's own last; a folder where no file was chosen."""
        chosen = [Path(self.directory) / file.name for file in self.files if file.name] or [Path(self.filepath)]
        return sorted(chosen, key=lambda path: (path.suffix.lower() == _CLIENT, path.name))


class BLOCKS_OT_tick_materials(Operator):
    """Ticks all materials that are listed, or none."""

    bl_idname = "blocks.tick_materials"
    bl_label = "Tick Materials"
    bl_description = "Allow all materials of the group that is listed, or none of them"
    bl_options = {"UNDO"}

    use: BoolProperty(name="Allowed", description="Whether the materials are allowed")

    def execute(self, context):
        """Ticks."""
        group = context.scene.optimize_materials
        for material in group.materials:
            if is_listed(material, group.listed):
                material.use = self.use
        return {"FINISHED"}


class _OnPalette(Operator):
    """What the operators have in common that edit the palette."""

    bl_options = {"UNDO"}

    @reporting
    def execute(self, context):
        """Edits it, and lists what it has now."""
        group = context.scene.optimize_materials
        name = self.edit(context.scene, group)
        status.refresh(context.scene)
        group.active_material = max(group.materials.find(name), 0)
        status.redraw()
        return {"FINISHED"}


class BLOCKS_OT_palette_add(_OnPalette):
    """Adds a material."""

    bl_idname = "blocks.palette_add"
    bl_label = "Add Material"
    bl_description = "Add a material to the palette; double-click its name to change that, its colors to change those"

    def edit(self, scene, group):
        """Adds it, and returns its name."""
        properties.make_own(scene)
        return add_material(scene, "Material")


class BLOCKS_OT_palette_remove(_OnPalette):
    """Removes a material."""

    bl_idname = "blocks.palette_remove"
    bl_label = "Remove Material"
    bl_description = "Remove the chosen material from the palette"

    def edit(self, scene, group):
        """Removes it, and returns the name of the one above."""
        properties.make_own(scene)
        names = group.materials.keys()
        number = min(group.active_material, len(names) - 1)
        remove_material(scene, names[number])
        return names[max(number - 1, 0)]


class BLOCKS_OT_palette_save(Operator, ExportHelper):
    """Saves the palette."""

    bl_idname = "blocks.palette_save"
    bl_label = "Save Palette…"
    bl_description = "Save the palette as a file, which other scenes can take"

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    @reporting
    def execute(self, context):
        """Saves it."""
        write_palette(Path(self.filepath), status.palette_of(context.scene))
        self.report({"INFO"}, f"Saved {self.filepath}")
        return {"FINISHED"}


class BLOCKS_OT_palette_load(Operator, ImportHelper):
    """Loads a palette."""

    bl_idname = "blocks.palette_load"
    bl_label = "Load Palette…"
    bl_description = "Take the palette of a file into this scene, where it can be edited"
    bl_options = {"UNDO"}

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    @reporting
    def execute(self, context):
        """Loads it."""
        keep_palette(context.scene, read_palette(Path(self.filepath)))
        context.scene.optimize_materials.palette = "own"
        status.refresh(context.scene)
        return {"FINISHED"}


class BLOCKS_UL_materials(UIList):
    """Materials of the palette: tick, name, swatches; those of one group, searched by name."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        """Draws one material."""
        row = layout.row(align=True)
        row.use_property_split = False
        row.prop(item, "use", text="")
        row.prop(item, "title", text="", emboss=False, icon_value=thumbnails.icon_of(item.name))
        colors = row.row(align=True)
        colors.ui_units_x = 4.5
        for slot in _SLOTS:
            colors.prop(item, slot, text="")

    def filter_items(self, context, data, property):
        """Tells which materials are listed."""
        materials = getattr(data, property)
        self.use_filter_show = self.use_filter_show or len(materials) > _FEW
        word = self.filter_name.lower()
        flags = [
            self.bitflag_filter_item if word in material.name.lower() and is_listed(material, data.listed) else 0
            for material in materials
        ]
        return flags, []


CLASSES = (
    BLOCKS_OT_resource_packs,
    BLOCKS_OT_tick_materials,
    BLOCKS_OT_palette_add,
    BLOCKS_OT_palette_remove,
    BLOCKS_OT_palette_save,
    BLOCKS_OT_palette_load,
    BLOCKS_UL_materials,
)
