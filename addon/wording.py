# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel's properties for the engine's settings, in the words that the settings come with."""

from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from blockcore.model.settings import SETTINGS, TITLES

_LARGEST = 2**31 - 1  # what Blender keeps in a whole number
GROUPS = {
    title: [entry.name for entry in SETTINGS.values() if entry.group == group and entry.name != "smoothness"]
    for group, title in TITLES.items()
}
"""The settings that Advanced shows, by title; smoothness stands above them."""
_KINDS = {bool: BoolProperty, int: IntProperty, float: FloatProperty, str: StringProperty}


def property_of(setting, update):
    """Returns the property that mirrors one setting.

    Args:
        setting: the setting.
        update: what Blender calls when a user changes it.
    """
    kind = type(setting.plain_default)
    common = {"name": setting.label, "description": setting.description, "default": setting.plain_default}
    common["update"] = update
    if setting.choices:
        items = [(word, *words) for word, words in setting.choices.items()]
        return EnumProperty(items=items, **common)
    return _KINDS[kind](**common, **(_limits(setting) if kind in (int, float) else {}))


def _limits(setting):
    low, high = (_bound(bound, setting) for bound in setting.bounds)
    soft_low, soft_high = (_bound(bound, setting) for bound in setting.soft or setting.bounds)
    share = {"subtype": "FACTOR"} if setting.bounds == (0, 1) else {}
    return {"min": low, "max": high, "soft_min": soft_low, "soft_max": soft_high} | share


def _bound(bound, setting):
    return min(int(bound), _LARGEST) if type(setting.default) is int else float(bound)
