# SPDX-License-Identifier: GPL-3.0-or-later
"""Working on blocks that were made: painting them, replacing a material, leaving out what is not needed."""

from bpy.props import EnumProperty
from bpy.types import Operator, Panel

from blockcore.formats.bill import table
from bridge.blender.marks import is_world
from bridge.blender.realize import realize_mesh, realize_objects
from bridge.blender.world_edit import (
    counts_of,
    grid_of,
    material_names,
    paint_selected,
    remove_blocks,
    replace_material,
    select_material,
)
from bridge.model.pieces import floating, surrounded

from . import painting, status, thumbnails
from .reporting import Conditional, reporting
from .session import session

_items: list[tuple[str, str, str]] = []  # Blender forgets names that nobody holds


def _materials(self, context):
    _items[:] = [(name, name, "") for name in material_names(context.object)] if context.object else []
    return _items


def _material(name: str, description: str):
    """One of the materials of the active object's blocks."""
    return EnumProperty(name=name, description=description, items=_materials)


class _OnWorld(Conditional):
    """Mix-in of the operators that change the active object's blocks."""

    bl_options = {"REGISTER", "UNDO"}
    edits_points = False

    @classmethod
    def obstacle(cls, context):
        """That the active object shows no blocks, or a run is under way."""
        if session.run is not None:
            return "Wait for the run to end, or cancel it"
        if context.object is None or not is_world(context.object):
            return "Make an object that shows blocks the active one first"
        if cls.edits_points and context.mode != "EDIT_MESH":
            return "Go to Edit Mode first: each point is a block"
        return ""

    def tell(self, context, count, what):
        """Reports how many blocks something happened to."""
        status.forget()
        self.report({"INFO"}, f"{count:,} block{'' if count == 1 else 's'} {what}")
        return {"FINISHED"} if count else {"CANCELLED"}


class _WithMaterial(_OnWorld):
    """Mix-in of those that ask for one material."""

    bl_property = "material"
    edits_points = True

    def invoke(self, context, event):
        """Asks for the material, with a field to search in."""
        context.window_manager.invoke_search_popup(self)
        return {"FINISHED"}


class BLOCKS_OT_paint_selected(_WithMaterial, Operator):
    """Paints blocks."""

    bl_idname = "blocks.paint_selected"
    bl_label = "Paint Selected…"
    bl_description = "Give the selected blocks a material; runs, and updates of a model's blocks, keep it"

    material: _material("Material", "What the blocks become")

    @reporting
    def execute(self, context):
        """Paints."""
        count = paint_selected(context.object, self.material)
        painting.keep_painted(context.scene, context.object)
        return self.tell(context, count, "painted")


class BLOCKS_OT_select_material(_WithMaterial, Operator):
    """Selects blocks."""

    bl_idname = "blocks.select_material"
    bl_label = "Select by Material…"
    bl_description = "Select the blocks of a material, beside what is selected"

    material: _material("Material", "What the blocks are made of")

    @reporting
    def execute(self, context):
        """Selects."""
        return self.tell(context, select_material(context.object, self.material), "selected")


class BLOCKS_OT_replace_material(_OnWorld, Operator):
    """Replaces a material."""

    bl_idname = "blocks.replace_material"
    bl_label = "Replace Material…"
    bl_description = "Give all blocks of one material another; in Edit Mode the selected ones alone"

    old: _material("Replace", "What the blocks are made of")
    new: _material("With", "What they become")

    def invoke(self, context, event):
        """Asks for the materials."""
        return context.window_manager.invoke_props_dialog(self, confirm_text="Replace")

    @reporting
    def execute(self, context):
        """Replaces it."""
        return self.tell(context, replace_material(context.object, self.old, self.new), "replaced")


class BLOCKS_OT_hollow_out(_OnWorld, Operator):
    """Leaves out what nobody sees."""

    bl_idname = "blocks.hollow_out"
    bl_label = "Hollow Out"
    bl_description = "Remove the blocks that are surrounded by others on all six sides"

    @reporting
    def execute(self, context):
        """Removes them."""
        return self.tell(context, remove_blocks(context.object, surrounded(grid_of(context.object))), "removed")


class BLOCKS_OT_remove_floating(_OnWorld, Operator):
    """Removes what floats."""

    bl_idname = "blocks.remove_floating"
    bl_label = "Remove Floating"
    bl_description = "Remove the blocks that neither touch the ground nor hang on others that do"

    @reporting
    def execute(self, context):
        """Removes them."""
        return self.tell(context, remove_blocks(context.object, floating(grid_of(context.object))), "removed")


class BLOCKS_OT_copy_counts(_OnWorld, Operator):
    """Copies the counts."""

    bl_idname = "blocks.copy_counts"
    bl_label = "Copy Counts"
    bl_description = "Copy how many blocks there are of each material, as a table for a spreadsheet (CSV)"

    @reporting
    def execute(self, context):
        """Copies them."""
        counts = counts_of(context.object)
        context.window_manager.clipboard = table(counts)
        self.report({"INFO"}, f"Copied the counts of {len(counts)} materials")
        return {"FINISHED"}


class BLOCKS_OT_realize(_OnWorld, Operator):
    """Makes plain data of blocks."""

    bl_idname = "blocks.realize"
    bl_label = "Realize…"
    bl_description = "Turn the blocks into plain Blender data that every tool and exporter understands"

    kind: EnumProperty(
        name="Into",
        description="What the blocks become",
        items=[
            ("MESH", "One Mesh", "One mesh of the faces that show, with a UV map"),
            ("OBJECTS", "Objects", "An object for each block, in a collection of their own"),
        ],
    )

    @classmethod
    def obstacle(cls, context):
        """That Edit Mode would lose its changes, or there are no blocks."""
        return super().obstacle(context) or ("" if context.mode == "OBJECT" else "Leave this mode first")

    def invoke(self, context, event):
        """Asks into what."""
        return context.window_manager.invoke_props_dialog(self, confirm_text="Realize")

    @reporting
    def execute(self, context):
        """Makes it."""
        world = context.object
        if self.kind == "MESH":
            realize_mesh(world)
        else:
            realize_objects(world)
        return self.tell(context, len(world.data.vertices), "realized")


_TOOLS = (
    (BLOCKS_OT_paint_selected, "VERTEXSEL"),
    (BLOCKS_OT_select_material, "RESTRICT_SELECT_OFF"),
    (BLOCKS_OT_replace_material, "ARROW_LEFTRIGHT"),
    (BLOCKS_OT_hollow_out, "MOD_SOLIDIFY"),
    (BLOCKS_OT_remove_floating, "X"),
    (BLOCKS_OT_copy_counts, "COPYDOWN"),
    (BLOCKS_OT_realize, "MESH_DATA"),
)


class BLOCKS_PT_edit_blocks(Panel):
    """The tools, where the active object shows blocks."""

    bl_label = "Edit Blocks"
    bl_idname = "BLOCKS_PT_edit_blocks"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Blocks"
    bl_order = 2
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        """Whether it does."""
        return context.object is not None and is_world(context.object)

    def draw(self, context):
        """Draws the panel."""
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        group = context.scene.optimize_materials
        icon = thumbnails.icon_of(group.paint)
        self.layout.prop(group, "paint", **({"icon_value": icon} if icon else {"icon": "MATERIAL"}))
        row = self.layout.row()
        row.scale_y = 1.4
        row.operator(painting.BLOCKS_OT_paint.bl_idname, icon="BRUSH_DATA")
        column = self.layout.column(align=True)
        for tool, icon in _TOOLS:
            column.operator(tool.bl_idname, icon=icon)


CLASSES = (*(tool for tool, _ in _TOOLS), BLOCKS_PT_edit_blocks)
