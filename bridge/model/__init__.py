# SPDX-License-Identifier: GPL-3.0-or-later
"""From a model to its blocks, as far as Blender has no part in it."""
