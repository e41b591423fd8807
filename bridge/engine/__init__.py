# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: blockcore's optimiser in a process of its own, with an interpreter that has torch. Needs no bpy.

Blender's Python has no torch. So the scene goes to disk, ``python -m blockcore optimize`` runs beside Blender, and what
it prints comes back as events: by ``poll`` for a timer, by ``events`` for a loop. The engine reads nothing from its
standard input but stops when that closes, so it cannot outlive the process that started it.
"""
