# SPDX-License-Identifier: GPL-3.0-or-later
"""The only home of bpy: scenes out of Blender, and results into it."""
