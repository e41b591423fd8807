# SPDX-License-Identifier: GPL-3.0-or-later
"""Optimize Materials: finds the materials of block worlds from pictures of them.

The panel, its operators and properties. What they do is done by ``bridge`` and, in a process of its own, ``blockcore``.
"""

import bpy

from . import (
    command,
    engine,
    handlers,
    helpers,
    menus,
    operators,
    palettes,
    panel,
    preferences,
    properties,
    result,
    status,
)

_MODULES = (preferences, properties, operators, result, helpers, menus, palettes, panel)


def register():
    """Adds everything to Blender."""
    for module in _MODULES:
        for cls in module.CLASSES:
            bpy.utils.register_class(cls)
    bpy.types.Scene.optimize_materials = bpy.props.PointerProperty(type=properties.BlocksScene)
    menus.register()
    handlers.register()
    engine.register()
    command.register()


def unregister():
    """Takes everything away again; a run under way is ended."""
    command.unregister()
    engine.unregister()
    handlers.unregister()
    menus.unregister()
    status.stop()
    del bpy.types.Scene.optimize_materials
    for module in reversed(_MODULES):
        for cls in reversed(module.CLASSES):
            bpy.utils.unregister_class(cls)
