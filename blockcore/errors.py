"""The errors users meet: one line each, naming the thing, what is wrong with it and what to do.

Command lines print the message and exit with code 2; Blender operators report it and return CANCELLED.
"""

from __future__ import annotations


class BlockcoreError(Exception):
    """Base of every error that a user's input or machine can cause."""


class MapError(BlockcoreError):
    """A map.json or an array of blocks that cannot be a block world."""


class DatasetError(BlockcoreError):
    """A set of captures (metadata.json and pictures) that cannot be used."""


class SceneError(BlockcoreError):
    """A BlockScene folder, or a Blender scene, that cannot be used."""


class PaletteError(BlockcoreError):
    """A palette that is damaged, or a material it does not have."""


class CameraError(BlockcoreError):
    """A camera whose matrices or picture size make no picture."""


class SettingsError(BlockcoreError):
    """A setting outside its range, or settings that contradict each other."""


class BackendError(BlockcoreError):
    """A device, rasteriser or library that was asked for and is not to be had."""


class Cancelled(BlockcoreError):
    """The user stopped the job; nothing was written."""
