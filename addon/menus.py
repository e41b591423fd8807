# SPDX-License-Identifier: GPL-3.0-or-later
"""File ▸ Import and File ▸ Export: WebGPU block maps."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty
from bpy.types import Operator
from bpy_extras.io_utils import ExportHelper, ImportHelper

from blockcore.formats.webgpu import read_scene, write_dataset, write_map
from bridge.blender.build import build
from bridge.blender.extract import extract

from . import properties, status
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
        scene = extract(properties.source_of(context.scene), cameras, need_targets=self.with_dataset, bake=False)
        write_map(path, scene.grid, scene.materials, scene.palette, path.stem)
        if self.with_dataset:
            write_dataset(path.parent / "dataset", scene.views)
        self.report({"INFO"}, f"Exported {len(scene.grid):,} blocks to {path}")
        return {"FINISHED"}


def _draw_import(self, context):
    self.layout.operator(BLOCKS_OT_import_map.bl_idname, text="WebGPU Block Map (map.json)")


def _draw_export(self, context):
    self.layout.operator(BLOCKS_OT_export_map.bl_idname, text="WebGPU Block Map (map.json)")


def register():
    """Adds the menu entries."""
    bpy.types.TOPBAR_MT_file_import.append(_draw_import)
    bpy.types.TOPBAR_MT_file_export.append(_draw_export)


def unregister():
    """Removes the menu entries."""
    bpy.types.TOPBAR_MT_file_import.remove(_draw_import)
    bpy.types.TOPBAR_MT_file_export.remove(_draw_export)


CLASSES = (BLOCKS_OT_import_map, BLOCKS_OT_export_map)
