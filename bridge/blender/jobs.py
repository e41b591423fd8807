# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job asks for, found in the open file."""

from __future__ import annotations

from typing import Any

import bpy

from blockcore.errors import SceneError
from blockcore.formats.palette_file import read_palette
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene
from bridge.blender.extract import extract
from bridge.blender.identity import find_collection, find_named, find_object
from bridge.blender.own_palette import own_palette
from bridge.job import Job


def read_scene(job: Job, need_targets: bool = True) -> BlockScene:
    """Reads what a job asks for out of the open scene; its own light, if that is what counts, is still to be measured.

    Args:
        job: what it asks for.
        need_targets: whether its cameras are looked at, and have to have pictures.

    Raises:
        BlockcoreError: the scene lacks it, or cannot be used.
    """
    cameras = cameras_of(job) if need_targets else ()
    how = {"need_targets": need_targets, "bake": False, "as_boxes": job.as_boxes}
    return extract(source_of(job), cameras, palette_of(job), **how)


def source_of(job: Job) -> Any:
    """Returns the collection or object that a job names.

    Raises:
        SceneError: there is none.
    """
    source = find_source_of(job)
    if source is None:
        raise SceneError(f"there is no {job.blocks_kind} {job.blocks!r} in this file; choose one that holds the blocks")
    return source


def find_source_of(job: Job) -> Any | None:
    """Returns the collection or object that a job names, or None where there is none."""
    return find_collection(job.blocks) if job.blocks_kind == "collection" else find_object(job.blocks)


def cameras_of(job: Job) -> list[Any] | None:
    """Returns the cameras that a job names; None for all that have a target.

    Raises:
        SceneError: one of them is not there.
    """
    cameras = [find_named(bpy.context.scene.objects, name) for name in job.cameras]
    if None in cameras:
        missing = job.cameras[cameras.index(None)]
        raise SceneError(f"there is no camera {missing!r} in this scene; choose the cameras again")
    return cameras or None


def palette_of(job: Job) -> Palette | None:
    """Returns the palette that a job names; None for that of the blocks themselves.

    Raises:
        BlockcoreError: its file is missing or damaged.
    """
    match job.palette:
        case "webgpu":
            return WEBGPU_PALETTE
        case "file":
            return read_palette(bpy.path.abspath(job.palette_file))
        case "own":
            return own_palette(bpy.context.scene)
        case _:
            return None
