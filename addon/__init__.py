# SPDX-License-Identifier: GPL-3.0-or-later
"""Optimize Materials: finds the materials of block worlds from pictures of them.

The panel, its operators and properties. What they do is done by ``bridge`` and, in a process of its own, ``blockcore``.
"""

import bpy

from . import (
    block_tools,
    command,
    engine,
    gltf,
    handlers,
    header,
    helpers,
    menus,
    model,
    model_grid,
    model_panel,
    model_status,
    operators,
    painting,
    palettes,
    panel,
    preferences,
    properties,
    result,
    status,
    targets,
    words,
)

# What Blender's glTF exporter looks for in an add-on's own module.
glTF2ExportUserExtension = gltf.glTF2ExportUserExtension
glTF2_post_export_callback = gltf.glTF2_post_export_callback

_MODULES = (
    *(preferences, properties, operators, model, result, helpers, targets, menus, palettes, model_panel),
    *(painting, block_tools, panel, words),
)


def register():
    """Adds everything to Blender."""
    for module in _MODULES:
        for cls in module.CLASSES:
            bpy.utils.register_class(cls)
    bpy.types.Scene.optimize_materials = bpy.props.PointerProperty(type=properties.BlocksScene)
    menus.register()
    header.register()
    handlers.register()
    engine.register()
    model_status.register()
    model_grid.register()
    command.register()


def unregister():
    """Takes everything away again; a run under way is ended."""
    command.unregister()
    engine.unregister()
    model_grid.unregister()
    model_status.unregister()
    handlers.unregister()
    header.unregister()
    menus.unregister()
    status.stop()
    del bpy.types.Scene.optimize_materials
    for module in reversed(_MODULES):
        for cls in reversed(module.CLASSES):
            bpy.utils.unregister_class(cls)
