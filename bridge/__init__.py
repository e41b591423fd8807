# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge between Blender scenes and blockcore; the only home of bpy data."""

from blockcore.machine.moved import keep_old_names

_IN_BLENDER = (
    *("apply", "build", "cubes", "demo_scene", "demonstration", "extract", "files", "marks", "materials", "models"),
    *("preview", "quality_scenes", "regions", "render_targets", "targets", "world"),
)
keep_old_names(__name__, {name: f"blender.{name}" for name in _IN_BLENDER})
