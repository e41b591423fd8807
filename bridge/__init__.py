# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge between Blender scenes and blockcore; the only home of bpy data."""
