# SPDX-License-Identifier: GPL-3.0-or-later
"""File ▸ Import and File ▸ Export: WebGPU block maps, and files of blocks of every other format."""

from functools import cache
from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty
from bpy.types import FileHandler, Operator
from bpy_extras.io_utils import ExportHelper, ImportHelper

from blockcore import formats
from blockcore.formats.exchange import adapted, export
from blockcore.formats.palette_file import read_palette
from blockcore.formats.webgpu import read_scene, write_dataset, write_map
from blockcore.model.scene import BlockScene
from bridge.blender.build import build

from . import outcome, properties, status
from .reporting import reporting


class BLOCKS_OT_import_map(Operator, ImportHelper):
    """Imports a map."""

    bl_idname = "blocks.import_map"
    bl_label = "Import WebGPU Block Map"
    bl_description = "Add the blocks of a WebGPU block map and, with its dataset, the cameras and their pictures"
    bl_options = {"UNDO", "PRESET"}

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})
    dataset: StringProperty(
        name="Dataset",
        description="Folder of the captures that belong to the map; leave empty to import the blocks alone",
        subtype="DIR_PATH",
    )

    @reporting
    def execute(self, context):
        """Imports the map."""
        path = Path(self.filepath)
        dataset = Path(bpy.path.abspath(self.dataset)) if self.dataset else None
        world = build(read_scene(path, dataset), path.parent.name if path.stem == "map" else path.stem)
        properties.choose_blocks(context.scene, world)
        status.forget()
        self.report({"INFO"}, f"Imported {len(world.data.vertices):,} blocks")
        return {"FINISHED"}


class BLOCKS_OT_export_map(Operator, ExportHelper):
    """Exports a map."""

    bl_idname = "blocks.export_map"
    bl_label = "Export WebGPU Block Map"
    bl_description = "Write the blocks as a WebGPU block map and, if wanted, the cameras and their pictures"

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})
    with_dataset: BoolProperty(
        name="Cameras and Pictures",
        description="Write the cameras and their pictures, too, into a folder called “dataset” beside the map",
        default=False,
    )

    @reporting
    def execute(self, context):
        """Exports the map."""
        path = Path(self.filepath)
        cameras = None if self.with_dataset else ()
        scene = properties.blocks_of(context.scene, cameras, need_targets=self.with_dataset)
        write_map(path, scene.grid, scene.materials, scene.palette, path.stem)
        if self.with_dataset:
            write_dataset(path.parent / "dataset", scene.views)
        self.report({"INFO"}, f"Exported {len(scene.grid):,} blocks to {path}")
        return {"FINISHED"}


class BLOCKS_OT_import_blocks(Operator, ImportHelper):
    """Imports a file of any format."""

    bl_idname = "blocks.import_blocks"
    bl_label = "Import Blocks"
    bl_description = "Add the blocks of a Minecraft schematic or structure, or of a MagicaVoxel file"
    bl_options = {"UNDO", "PRESET"}

    filter_glob: StringProperty(options={"HIDDEN"})
    palette: StringProperty(
        name="Palette",
        description="The file of a palette that has colors for the blocks; leave empty for what the file itself has",
        subtype="FILE_PATH",
    )

    def invoke(self, context, event):
        """Asks for the file, or for the palette alone where the file was dropped."""
        return self.invoke_popup(context)

    @reporting
    def execute(self, context):
        """Imports the blocks."""
        path = Path(self.filepath)
        palette = read_palette(bpy.path.abspath(self.palette)) if self.palette else None
        found, unread = formats.read(path, palette)
        scene, unlike = adapted(found, BlockScene, palette)
        world = build(scene, path.stem)
        properties.choose_blocks(context.scene, world)
        group = context.scene.optimize_materials
        group.palette_file = self.palette or group.palette_file
        group.palette = "file" if self.palette else "scene"  # others have none of its blocks
        status.forget()
        _report(self, f"Imported {len(scene.grid):,} blocks", (*unread, *unlike))
        return {"FINISHED"}


class BLOCKS_OT_export_blocks(Operator, ExportHelper):
    """Exports to any format."""

    bl_idname = "blocks.export_blocks"
    bl_label = "Export Blocks"
    bl_description = "Write the blocks to a file of another program"

    filename_ext = ""
    filter_glob: StringProperty(options={"HIDDEN"})
    suffix: StringProperty(options={"HIDDEN"})
    palette: StringProperty(
        name="Palette",
        description="The file of a palette whose blocks to choose among; leave empty to keep the materials' names",
        subtype="FILE_PATH",
    )

    result: BoolProperty(
        name="Result",
        description="Write the blocks as optimized, where the scene shows a result; else as they were chosen",
        default=True,
    )

    def invoke(self, context, event):
        """Asks for the file."""
        self.filename_ext = self.suffix
        return super().invoke(context, event)

    def check(self, context):
        """Puts the format's ending behind the name."""
        self.filename_ext = self.suffix
        return super().check(context)

    @reporting
    def execute(self, context):
        """Exports the blocks."""
        path = Path(self.filepath)
        shown = outcome.shown_world() if self.result else None
        source = properties.source_of(context.scene) if shown is None or shown.hide_viewport else shown
        scene = properties.blocks_of(context.scene, (), need_targets=False, source=source)
        palette = read_palette(bpy.path.abspath(self.palette)) if self.palette else None
        _report(self, f"Exported {len(scene.grid):,} blocks of {source.name} to {path}", export(path, scene, palette))
        return {"FINISHED"}


class BLOCKS_FH_blocks(FileHandler):
    """Takes files of blocks that are dropped into the viewport."""

    bl_idname = "BLOCKS_FH_blocks"
    bl_label = "Blocks"
    bl_import_operator = BLOCKS_OT_import_blocks.bl_idname
    bl_file_extensions = ".litematic;.nbt;.schem;.schematic;.vox"

    @classmethod
    def poll_drop(cls, context):
        """Whether it is the viewport."""
        return context.area is not None and context.area.type == "VIEW_3D"


def _report(operator, done, losses):
    operator.report({"INFO"}, done)
    for loss in dict.fromkeys(losses):
        operator.report({"WARNING"}, f"Not carried over: {loss}")


@cache
def _entries(kind: str) -> list[tuple[str, str]]:
    """Returns what a menu lists besides maps: the text and the ending of each format that ``is_`` of that kind."""
    known = [form for form in formats.formats().values() if getattr(form, kind)]
    files = [(form.name, suffix) for form in known for suffix in form.suffixes if suffix not in ("", ".json")]
    return sorted((f"{name[0].upper()}{name[1:]} ({suffix})", suffix) for name, suffix in files)


def _draw_import(self, context):
    self.layout.operator(BLOCKS_OT_import_map.bl_idname, text="WebGPU Block Map (map.json)")
    for text, suffix in _entries("is_read"):
        self.layout.operator(BLOCKS_OT_import_blocks.bl_idname, text=text).filter_glob = f"*{suffix}"


def _draw_export(self, context):
    self.layout.operator(BLOCKS_OT_export_map.bl_idname, text="WebGPU Block Map (map.json)")
    for text, suffix in _entries("is_written"):
        entry = self.layout.operator(BLOCKS_OT_export_blocks.bl_idname, text=text)
        entry.filter_glob, entry.suffix = f"*{suffix}", suffix


def register():
    """Adds the menu entries."""
    bpy.types.TOPBAR_MT_file_import.append(_draw_import)
    bpy.types.TOPBAR_MT_file_export.append(_draw_export)


def unregister():
    """Removes the menu entries."""
    bpy.types.TOPBAR_MT_file_import.remove(_draw_import)
    bpy.types.TOPBAR_MT_file_export.remove(_draw_export)


CLASSES = (
    BLOCKS_OT_import_map,
    BLOCKS_OT_export_map,
    BLOCKS_OT_import_blocks,
    BLOCKS_OT_export_blocks,
    BLOCKS_FH_blocks,
)
