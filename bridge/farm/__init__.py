# SPDX-License-Identifier: GPL-3.0-or-later
"""Many files: one command for each of them, in Blenders that each serve many, shared out to the tasks of a farm."""
