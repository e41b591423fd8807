"""Rendered targets show the model in its own colours, whatever else the scene does to its renders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blockcore.errors import BlockcoreError
from blockcore.io.pictures import read_picture
from blockcore.model.camera import Camera
from blockcore.model.lighting import UNLIT
from blockcore.model.scene import BlockScene, View
from blockcore.shading.frames import draw, frame_colors
from blockcore.visibility import rasterize
from tests.captures import captured
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender.build import build  # noqa: E402
from bridge.blender.extract import extract  # noqa: E402
from bridge.blender.render_targets import framing, render_targets, with_surface  # noqa: E402
from bridge.blender.targets import background_image, target_pixels  # noqa: E402
from tests.bpy import scenes  # noqa: E402

SHOWN = (188, 137, 89)  # display values of the scene-linear colour (0.5, 0.25, 0.1)


def film_exposure(scene: Any) -> None:
    scene.cycles.film_exposure = 4.0


def keyed_film_exposure(scene: Any) -> None:
    scene.cycles.film_exposure = 4.0
    scene.keyframe_insert("cycles.film_exposure", frame=scene.frame_current)


def driven_gamma(scene: Any) -> None:
    scene.driver_add("view_settings.gamma").driver.expression = "3.0"


def exposure_and_gamma(scene: Any) -> None:
    scene.view_settings.exposure, scene.view_settings.gamma = 2.0, 0.5


def half_a_frame(scene: Any) -> None:
    scene.render.use_border, scene.render.use_crop_to_border, scene.render.border_max_x = True, True, 0.5


def stereo(scene: Any) -> None:
    scene.render.use_multiview = True


def white_balance(scene: Any) -> None:
    if hasattr(scene.view_settings, "use_white_balance"):  # since 4.3
        scene.view_settings.use_white_balance, scene.view_settings.white_balance_temperature = True, 3000.0


def curves(scene: Any) -> None:
    scene.view_settings.use_curve_mapping = True
    mapping = scene.view_settings.curve_mapping
    mapping.curves[3].points[0].location = (0.0, 0.4)
    mapping.update()


def video(scene: Any) -> None:
    picture = scene.render.image_settings
    if hasattr(picture, "media_type"):
        picture.media_type = "VIDEO"
    else:
        picture.file_format = "FFMPEG"


def greyscale_jpeg(scene: Any) -> None:
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "JPEG", "BW"


def clay(scene: Any) -> None:
    bpy.context.view_layer.material_override = scenes.material("Clay")


def another_layer(scene: Any) -> None:
    scene.view_layers.new("Other").material_override = scenes.material("Clay")


def marker(scene: Any) -> None:
    away = scenes.camera("Away", (0.0, 0.0, -900.0))
    scene.timeline_markers.new("shot", frame=scene.frame_current).camera = away


def strips(scene: Any) -> None:
    editor = scene.sequence_editor_create()
    add = (editor.strips if hasattr(editor, "strips") else editor.sequences).new_effect
    try:
        strip = add(name="Green", type="COLOR", channel=1, frame_start=1, length=200)
    except TypeError:
        strip = add(name="Green", type="COLOR", channel=1, frame_start=1, frame_end=200)
    strip.color = (0.0, 1.0, 0.0)


def stamp(scene: Any) -> None:
    scene.render.use_stamp, scene.render.stamp_font_size = True, 30


def depth_of_field(scene: Any) -> None:
    focus = scene.camera.data.dof
    focus.use_dof, focus.focus_distance, focus.aperture_fstop = True, 1.0, 0.1


def beside(scene: Any) -> Any:
    """Something green right before the camera."""
    green = scenes.emission("Green", (0.0, 1.0, 0.0))
    return scenes.add(scenes.cube_mesh(size=4.0, materials=(green,)), "Beside", (0, 0, 26), scene.collection)


def another_with_keys(scene: Any) -> None:
    beside(scene).keyframe_insert("hide_render", frame=1)


def another_with_a_driver(scene: Any) -> None:
    beside(scene).driver_add("hide_render").driver.expression = "0"


def another_scene_behind(scene: Any) -> None:
    other = bpy.data.scenes.new("Set")
    scene.background_set = other
    beside(other)


def model_hidden_by_keys(scene: Any) -> None:
    model = bpy.data.objects["Model"]
    model.hide_render = True
    model.keyframe_insert("hide_render", frame=1)


CHANGES: list[Callable[[Any], None]] = [
    *(film_exposure, exposure_and_gamma, half_a_frame, stereo, white_balance, curves, video, greyscale_jpeg, clay),
    *(another_layer, marker, strips, stamp, depth_of_field, another_with_keys, another_with_a_driver),
    *(another_scene_behind, model_hidden_by_keys, keyed_film_exposure, driven_gamma),
]


def settings(holder: Any) -> dict[str, Any]:
    """All that can be set on it, but for what points elsewhere."""
    plain = ("BOOLEAN", "INT", "FLOAT", "STRING", "ENUM")
    names = [p.identifier for p in holder.bl_rna.properties if p.type in plain and not p.is_readonly]
    return {
        name: str(getattr(holder, name)[:] if hasattr(getattr(holder, name), "foreach_get") else getattr(holder, name))
        for name in names
    }


def state(scene: Any) -> list[dict[str, Any]]:
    holders = (scene, scene.render, scene.render.image_settings, scene.view_settings, scene.display_settings)
    return [settings(holder) for holder in (*holders, *scene.view_layers)]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_picture_is_the_models_and_the_settings_stay(change: Callable[[Any], None]) -> None:
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scenes.picture_size(64, 48)
    model = scenes.add(
        scenes.cube_mesh(size=40.0, materials=(scenes.emission("Paint", (0.5, 0.25, 0.1)),)),
        "Model",
        (0, 0, 0),
        scene.collection,
    )
    camera = scenes.camera("Eye", (0.0, 0.0, 30.0))
    camera.rotation_euler = (0.0, 0.0, 0.0)
    scene.camera = camera
    change(scene)
    bpy.context.view_layer.update()
    before = state(scene)
    assert list(render_targets(model, [camera])) == ["Eye"]
    pixels = target_pixels(camera, background_image(camera))
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.reshape(-1, 3).astype(int) - SHOWN).max() <= 2
    assert state(scene) == before


def exclude(collection: Any) -> None:
    bpy.context.view_layer.layer_collection.children[collection.name].exclude = True


def switch_off(collection: Any) -> None:
    collection.hide_render = True


@pytest.mark.parametrize("hide", [exclude, switch_off], ids=lambda hide: hide.__name__)
def test_a_model_that_no_render_shows_is_refused(hide: Callable[[Any], None]) -> None:
    model = scenes.collection("Model")
    scenes.add(scenes.cube_mesh(), "Body", (0, 0, 0), model)
    hide(model)
    with pytest.raises(BlockcoreError, match="model 'Model': renders of this view layer show nothing of it"):
        list(render_targets(model, [scenes.camera("Eye")]))


def test_the_picture_that_the_user_rendered_stays(tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scenes.picture_size(32, 32)
    model = scenes.add(scenes.cube_mesh(), "Model", (0, 0, 0), scene.collection)
    eye = scene.camera = scenes.camera("Eye")
    bpy.ops.render.render()
    slots = bpy.data.images["Render Result"].render_slots
    before = slots.active_index
    bpy.data.images["Render Result"].save_render(str(tmp_path / "before.png"))
    model.scale = (3.0, 3.0, 3.0)
    list(render_targets(model, [eye]))
    assert slots.active_index == before
    bpy.data.images["Render Result"].save_render(str(tmp_path / "after.png"))
    assert np.array_equal(read_picture(tmp_path / "before.png"), read_picture(tmp_path / "after.png"))


def test_hidden_helpers_stay_hidden_and_handlers_are_not_called() -> None:
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scenes.picture_size(32, 32)
    model = scenes.collection("Model")
    scenes.add(scenes.cube_mesh(size=1.0), "Body", (0.0, 0.0, 0.0), model)
    helper = scenes.add(scenes.cube_mesh(size=9.0), "Helper", (0.0, 0.0, 0.0), model)
    helper.hide_render = True
    camera = scenes.camera("Eye", (0.0, 0.0, 20.0))
    camera.rotation_euler = (0.0, 0.0, 0.0)
    calls: list[int] = []
    handlers = bpy.app.handlers.frame_change_post, bpy.app.handlers.render_pre
    for one in handlers:
        one.append(lambda *_: calls.append(1))
    try:
        list(render_targets(model, [camera]))
    finally:
        for one in handlers:
            one.pop()
    shown = target_pixels(camera, background_image(camera))[..., 3] > 0
    assert not calls
    assert helper.hide_render
    assert 0.001 < shown.mean() < 0.05  # the body alone; the helper would fill the picture's middle


def test_a_rendered_target_keeps_the_frame_it_was_rendered_in() -> None:
    blocks = scenes.flat_blocks()
    camera = scenes.camera(place=(1.0, -9.0, 5.0))
    camera.rotation_euler = (1.1, 0.0, 0.0)
    scenes.picture_size(96, 64)
    bpy.context.scene.render.engine, bpy.context.scene.cycles.samples = "CYCLES", 1
    list(render_targets(blocks, [camera]))
    scenes.picture_size(500, 700)  # for the film that the user makes next
    scene = extract(blocks, [camera], bake=False)
    (view,) = scene.views
    assert (view.camera.width, view.camera.height) == (96, 64) and view.target is not None
    colors = frame_colors(scene.grid.exposed_faces, scene.materials, scene.palette, UNLIT)
    drawn = draw(rasterize(scene.grid.exposed_faces, [view.camera], "cpu")[0], view.camera, colors).astype(int)
    shown = view.target[..., 3] == 255
    off = np.abs(drawn[..., :3] - view.target[..., :3])[shown].max(axis=-1) > 8
    assert shown.mean() > 0.05 and off.mean() < 0.1  # a pixel at an edge is mixed


def test_cameras_that_show_nothing_of_a_model_are_framed_on_it() -> None:
    model = scenes.collection("Model")
    scenes.add(scenes.cube_mesh(size=2.0), "Body", (30.0, 5.0, 0.0), model)
    scenes.picture_size(96, 64)
    aside, seeing, held = (scenes.camera(name, (0.0, 0.0, 20.0)) for name in ("Aside", "Seeing", "Held"))
    for camera in (aside, seeing, held):
        camera.rotation_euler = (0.0, 0.0, 0.0)
    seeing.location.x = 35.0  # half of the model is in its picture
    seeing.location.y = 5.0
    held.parent = scenes.add(None, "Rig", (0.0, 0.0, 0.0), bpy.context.scene.collection)
    bpy.context.view_layer.update()
    places = framing(model, [aside, seeing, held])
    assert list(places) == [aside]
    aside.location = places[aside]
    assert aside.location.x == pytest.approx(30.0, abs=0.1) and aside.location.z < 20.0
    bpy.context.view_layer.update()
    assert framing(model, [aside]) == {}
    bpy.context.scene.render.engine, bpy.context.scene.cycles.samples = "CYCLES", 1
    list(render_targets(model, [aside]))
    alpha = target_pixels(aside, background_image(aside))[..., 3] > 0
    assert alpha[1:-1, 1:-1].any() and 0.2 < alpha.mean() < 0.9


def test_models_that_are_offered_have_a_surface() -> None:
    top = bpy.context.scene.collection
    root = scenes.add(None, "Root", (0.0, 0.0, 0.0), top)
    scenes.add(scenes.cube_mesh(), "Part", (0.0, 0.0, 0.0), top).parent = root
    scenes.add(bpy.data.meshes.new("Nothing"), "Nothing", (0.0, 0.0, 0.0), top)
    scenes.camera("Eye")
    assert with_surface(bpy.context.scene.objects) == {"Root", "Part"}


def test_pictures_of_several_sizes_make_one_scene(tmp_path: Path) -> None:
    captures = captured(1)
    first, second, *_ = captures.views
    height, width = second.target.shape[:2]
    proj = second.camera.proj.copy()
    proj[0, 0] *= 2.0
    half = Camera(second.camera.view, proj, width // 2, height, second.camera.name)
    tall = View(half, np.ascontiguousarray(second.target[:, width // 4 : width // 4 + width // 2]))
    build(BlockScene(captures.grid, captures.materials, views=(first, tall)))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "two.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "two.blend"))
    for before, after in zip((first, tall), extract().views, strict=True):
        assert (after.camera.width, after.camera.height) == (before.camera.width, before.camera.height)
        np.testing.assert_allclose(after.camera.proj, before.camera.proj, atol=1e-5)
        assert after.target is not None and np.array_equal(after.target, before.target)
