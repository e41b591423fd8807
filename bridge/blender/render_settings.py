# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a scene changes the pictures that it renders, held off while targets are rendered.

A target shows the model in display values of the sRGB curve: no post-processing, no grading, no part of the frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import bpy

from bridge.blender.held import Change, held

_SLOT = "Targets"


@contextmanager
def plain_pictures(scene: Any) -> Iterator[None]:
    """Lets a scene render plain PNGs: the whole frame, display values of the Standard view, clear where nothing is."""
    with ExitStack() as stack:
        stack.enter_context(_silent_handlers())
        stack.enter_context(_spare_slot())
        stack.enter_context(held([*_output(scene), *_steps(scene), *_colors(scene), *_layers(scene)]))
        yield


def _output(scene: Any) -> list[Change]:
    render = scene.render
    picture = render.image_settings
    return [
        (render, "filepath", render.filepath),
        (render, "use_multiview", False),  # before the format: it decides which there are
        (picture, "media_type", "IMAGE"),
        (picture, "file_format", "PNG"),
        (picture, "color_mode", "RGBA"),
        (picture, "color_depth", "8"),
        (picture, "color_management", "FOLLOW_SCENE"),
        (render, "use_file_extension", True),
        (render, "use_overwrite", True),
        (render, "use_placeholder", False),
        (render, "use_render_cache", False),
        (render, "use_stamp", False),
        (render, "metadata_input", "SCENE"),
    ]


def _steps(scene: Any) -> list[Change]:
    render = scene.render
    return [
        (render, "use_compositing", False),
        (render, "use_sequencer", False),
        (render, "use_border", False),
        (render, "use_crop_to_border", False),
        (render, "use_motion_blur", False),
        (render, "use_simplify", False),
        (render, "use_freestyle", False),
        (render, "use_persistent_data", False),
        (render, "film_transparent", True),
        (render, "dither_intensity", 0.0),
        (getattr(scene, "cycles", None), "film_exposure", 1.0),
        (getattr(scene, "cycles", None), "film_transparent_glass", False),
        (scene, "camera", scene.camera),
        (scene, "background_set", None),
        *((marker, "camera", None) for marker in scene.timeline_markers if marker.camera is not None),
    ]


def _colors(scene: Any) -> list[Change]:
    view = scene.view_settings
    return [
        (scene.display_settings, "display_device", "sRGB"),
        (scene.display_settings, "emulation", "OFF"),
        (view, "view_transform", "Standard"),
        (view, "look", "None"),
        (view, "exposure", 0.0),
        (view, "gamma", 1.0),
        (view, "use_curve_mapping", False),
        (view, "use_white_balance", False),
        (view, "use_hdr_view", False),
    ]


def _layers(scene: Any) -> list[Change]:
    """Only the layer that is looked at, with each object's own materials."""
    shown = bpy.context.view_layer if scene == bpy.context.scene else scene.view_layers[0]
    return [
        (scene.render, "use_single_layer", False),
        *((layer, "use", layer == shown) for layer in scene.view_layers),
        (shown, "material_override", None),
        (shown, "world_override", None),
        (shown, "samples", 0),
        (shown, "use_pass_combined", True),
        (shown, "use_solid", True),
        (shown, "use_sky", True),
    ]


_HANDLERS = (
    *("frame_change_pre", "frame_change_post", "render_init", "render_pre", "render_post", "render_complete"),
    *("render_write", "render_cancel", "render_stats"),
)


@contextmanager
def _spare_slot() -> Iterator[None]:
    """Renders into a slot of its own, which Blender cannot take away again: the pictures in the user's own stay."""
    result = next((image for image in bpy.data.images if image.type == "RENDER_RESULT"), None)
    if result is None:
        yield
        return
    slots = result.render_slots
    before = slots.active_index
    if _SLOT not in [slot.name for slot in slots]:
        slots.new(name=_SLOT)
    slots.active_index = [slot.name for slot in slots].index(_SLOT)
    try:
        yield
    finally:
        slots.active_index = before


@contextmanager
def _silent_handlers() -> Iterator[None]:
    """What the file or other add-ons do at every rendered frame must not happen once more for each target."""
    lists = [getattr(bpy.app.handlers, name) for name in _HANDLERS]
    before = [list(handlers) for handlers in lists]
    try:
        for handlers in lists:
            handlers.clear()
        yield
    finally:
        for handlers, kept in zip(lists, before, strict=True):
            handlers[:] = kept
