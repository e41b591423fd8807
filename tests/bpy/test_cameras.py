"""Cameras: the bridge's matrices against Blender's own, and the way back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from blockcore.errors import BlockcoreError, CameraError, SceneError
from blockcore.model.baked_light import BakedLight
from blockcore.model.camera import Camera, orthographic, perspective
from blockcore.model.scene import BlockScene, View
from blockcore.visibility import rasterize
from bridge.convert import TO_BLENDER, Frame, Lens, lens_of, projection
from tests.captures import captured
from tests.parts import need

need("bpy")

import bpy  # noqa: E402
from bpy_extras.object_utils import world_to_camera_view  # noqa: E402
from mathutils import Vector  # noqa: E402

from bridge.blender.build import build  # noqa: E402
from bridge.blender.extract import extract, find_camera, read_camera  # noqa: E402
from tests.bpy import scenes  # noqa: E402

FRAMES = [Frame(640, 400), Frame(400, 640), Frame(512, 512), Frame(300, 300, 1.0, 2.5), Frame(500, 200, 3.0, 1.0)]
SHIFTS = [(0.0, 0.0), (0.13, -0.21)]
Scale = tuple[float, float, float]
Way = tuple[str, str, tuple[float, float], Frame]


def ways(type_: str, fit: str) -> list[Way]:
    return [(type_, fit, shift, frame) for shift, frame in product(SHIFTS, FRAMES)]


FITS = list(product(("PERSP", "ORTHO"), ("AUTO", "HORIZONTAL", "VERTICAL")))
every_fit = pytest.mark.parametrize(("type_", "fit"), FITS)


def posed(type_: str, fit: str, shift: tuple[float, float], frame: Frame) -> object:
    camera = bpy.context.scene.objects.get("Camera") or scenes.camera()
    data = camera.data
    data.type, data.sensor_fit = type_, fit
    data.sensor_width, data.sensor_height, data.lens, data.ortho_scale = 30.0, 22.0, 41.0, 7.5
    data.shift_x, data.shift_y = shift
    data.clip_start, data.clip_end = 0.4, 90.0
    render = bpy.context.scene.render
    scenes.picture_size(frame.width, frame.height)
    render.pixel_aspect_x, render.pixel_aspect_y = frame.pixel_aspect_x, frame.pixel_aspect_y
    bpy.context.view_layer.update()
    return camera


@every_fit
def test_projection_is_blenders(type_: str, fit: str) -> None:
    for way in ways(type_, fit):
        camera, frame = posed(*way), way[3]
        found = read_camera(camera, np.eye(4))
        size = {"x": frame.width, "y": frame.height}
        aspect = {"scale_x": frame.pixel_aspect_x, "scale_y": frame.pixel_aspect_y}
        own = np.array(camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), **size, **aspect))
        np.testing.assert_allclose(found.proj[[0, 1, 3]], own[[0, 1, 3]], atol=1e-6)
        for distance, depth in ((0.4, 0.0), (90.0, 1.0)):  # Blender cuts at its clip range, blockcore at 0 ≤ z ≤ w
            _, _, z, w = found.proj @ (0.0, 0.0, -distance, 1.0)
            assert z / w == pytest.approx(depth, abs=1e-6)
        np.testing.assert_allclose(found.view, np.linalg.inv(np.array(camera.matrix_world)), atol=1e-5)


@every_fit
def test_points_land_where_blender_puts_them(type_: str, fit: str) -> None:
    points = np.random.default_rng(1).uniform(-2.0, 2.0, (20, 3))
    for way, point in product(ways(type_, fit), points):
        camera = posed(*way)
        found = read_camera(camera, TO_BLENDER)
        x, y, depth = world_to_camera_view(bpy.context.scene, camera, Vector(point))
        world = np.linalg.inv(TO_BLENDER) @ (*point, 1.0)
        clip = found.proj @ found.view @ world
        np.testing.assert_allclose(clip[:2] / clip[3] * 0.5 + 0.5, (x, y), atol=1e-5)
        assert math.isclose(-(found.view @ world)[2], depth, abs_tol=1e-5)


def test_orthographic_depth_fills_the_clip_volume() -> None:
    lens = Lens(type="ORTHO", clip_start=0.5, clip_end=20.0)
    near, far = (projection(lens, Frame(10, 10)) @ (0.0, 0.0, z, 1.0) for z in (-0.5, -20.0))
    assert near[2] == pytest.approx(0.0, abs=1e-12)
    assert far[2] == pytest.approx(1.0)


@every_fit
def test_lens_comes_back(type_: str, fit: str) -> None:
    for _, _, (shift_x, shift_y), frame in ways(type_, fit):
        lens = Lens(type_, 41.0, 30.0, 22.0, fit, 7.5, shift_x, shift_y, 0.4, 90.0)
        camera = Camera(np.eye(4), projection(lens, frame), frame.width, frame.height)
        back_lens, back_frame, back = lens_of(camera)
        assert back == 0.0
        np.testing.assert_allclose(projection(back_lens, back_frame), camera.proj, rtol=1e-12, atol=1e-12)


def test_cameras_come_back_from_blender() -> None:
    rng = np.random.default_rng(5)
    views = []
    for i in range(6):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        turn *= np.linalg.det(turn)
        view = np.eye(4)
        view[:3, :3], view[:3, 3] = turn, rng.uniform(-50.0, 50.0, 3)
        proj = orthographic(12.0, 9.0, 1.0, 80.0) if i % 2 else perspective(1.0, 4 / 3, 0.1, 500.0)
        proj[:2, 3 if i % 2 else 2] = 0.1 * i, -0.05 * i
        views.append(View(Camera(view, proj, 400, 300, f"cam {i}"), np.full((300, 400, 3), i, np.uint8), 0.5 + i))
    village = captured(1)
    build(BlockScene(village.grid, village.materials, views=tuple(views)))
    for before, after in zip(views, extract().views, strict=True):
        np.testing.assert_allclose(after.camera.view, before.camera.view, atol=1e-5)
        np.testing.assert_allclose(after.camera.proj, before.camera.proj, atol=1e-5)
        assert after.camera.name == before.camera.name
        assert after.weight == before.weight
        assert np.array_equal(after.target, before.target)


def test_orthographic_camera_that_sees_behind_itself_moves_back() -> None:
    village = captured(1)
    camera = Camera(np.eye(4), orthographic(10.0, 10.0, -30.0, 30.0), 64, 64)
    build(BlockScene(village.grid, village.materials, views=(View(camera),)))
    after = extract(need_targets=False).views[0].camera
    np.testing.assert_allclose(after.proj @ after.view, camera.proj @ camera.view, atol=1e-5)


def test_resolution_percentage_counts() -> None:
    camera = scenes.camera()
    scenes.picture_size(1001, 333, 50)
    found = read_camera(camera, np.eye(4))
    assert (found.width, found.height) == (500, 166)


def test_scale_of_a_camera_does_not_count() -> None:
    camera = scenes.camera()
    bpy.context.view_layer.update()
    before = read_camera(camera, np.eye(4))
    camera.scale = (2.0, 3.0, 0.5)
    bpy.context.view_layer.update()
    np.testing.assert_allclose(read_camera(camera, np.eye(4)).view, before.view, atol=1e-6)


MIRRORS = {
    "own scale": ((-1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "upside down": ((1.0, -2.0, 1.0), (1.0, 1.0, 1.0)),
    "turned inside out": ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
    "parent": ((1.0, 1.0, 1.0), (1.0, 1.0, -1.0)),
    "both": ((-1.0, 1.0, 1.0), (1.0, -1.0, 1.0)),
}


@pytest.mark.parametrize("scales", MIRRORS.values(), ids=MIRRORS)
@pytest.mark.parametrize("type_", ["PERSP", "ORTHO"])
def test_mirrored_cameras_see_what_cycles_renders(scales: tuple[Scale, Scale], type_: str, tmp_path: Path) -> None:
    scenes.flat_blocks()
    camera = scenes.camera("Eye", (7.0, -6.0, 6.0))
    camera.rotation_euler, camera.scale, camera.data.type = (1.0, 0.1, 0.8), scales[0], type_
    camera.data.shift_x = 0.1
    camera.parent = scenes.add(None, "Parent", (0.0, 0.0, 0.0), bpy.context.scene.collection)
    camera.parent.scale = scales[1]
    if scales[0][2] < 0.0:  # then it looks the other way
        camera.location = (-5.0, 8.0, -4.0)
    if scales[1][2] < 0.0:
        camera.location.z, camera.rotation_euler.x = -6.0, math.pi - 1.0
    assert scenes.differs_from_cycles(camera, tmp_path) <= 0.0002


def portrait(camera: object) -> tuple[int, int]:
    camera.data.shift_x, camera.data.shift_y = 0.15, -0.1
    return 90, 160


def upright_film(camera: object) -> tuple[int, int]:
    camera.data.sensor_fit, camera.data.sensor_height, camera.data.shift_y = "VERTICAL", 30.0, 0.1
    return 90, 160


def wide_pixels(camera: object) -> tuple[int, int]:
    camera.data.shift_x, bpy.context.scene.render.pixel_aspect_y = 0.1, 1.5
    return 160, 120


def box_of_rays(camera: object) -> tuple[int, int]:
    camera.data.type, camera.data.clip_end, bpy.context.scene.render.pixel_aspect_x = "ORTHO", 10.0, 1.7
    return 160, 120


def sheared(camera: object) -> tuple[int, int]:
    outer, inner = (scenes.add(None, name, (0, 0, 0), bpy.context.scene.collection) for name in ("Outer", "Inner"))
    outer.scale, inner.rotation_euler, inner.parent = (-1.0, 1.5, 1.0), (0.3, 0.2, 0.4), outer
    camera.parent, camera.location, camera.rotation_euler = inner, (-5.0, -4.0, 5.0), (1.0, 0.1, -0.8)
    return 160, 120


def far_out(camera: object) -> tuple[int, int]:
    for obj in bpy.context.scene.objects:
        obj.location.x, obj.location.y = obj.location.x + 10_000.0, obj.location.y - 7_000.0
    return 160, 120


@pytest.mark.parametrize(
    "pose", [portrait, upright_film, wide_pixels, box_of_rays, sheared, far_out], ids=lambda pose: pose.__name__
)
def test_cameras_see_what_cycles_renders(pose: Callable[[object], tuple[int, int]], tmp_path: Path) -> None:
    scenes.flat_blocks()
    camera = scenes.camera("Eye", (7.0, -6.0, 6.0))
    camera.rotation_euler = (1.0, 0.1, 0.8)
    assert scenes.differs_from_cycles(camera, tmp_path, pose(camera)) <= 0.0002


@pytest.mark.parametrize("away", [1_000.0, 10_000.0, 100_000.0])
def test_moving_everything_moves_no_pixel(away: float) -> None:
    """Cycles itself does not manage that: its own picture of these blocks differs by 0.04 % 10,000 units away."""

    def seen() -> np.ndarray:
        scene = extract(bpy.context.scene.collection, [camera], need_targets=False, bake=False)
        return rasterize(scene.grid.exposed_faces, [scene.views[0].camera], "cpu")[0].face

    scenes.flat_blocks()
    camera = scenes.camera("Eye", (7.0, -6.0, 6.0))
    camera.rotation_euler = (1.0, 0.1, 0.8)
    scenes.picture_size(640, 480)
    bpy.context.view_layer.update()
    here = seen()
    for obj in bpy.context.scene.objects:
        obj.location.x, obj.location.y = obj.location.x + away, obj.location.y - 0.75 * away
    bpy.context.view_layer.update()
    np.testing.assert_array_equal(seen(), here)
    assert (here >= 0).mean() > 0.05


@pytest.mark.parametrize(("start", "cut"), [(9.0, 0), (9.7, 2), (12.0, 0)])
def test_it_is_said_where_the_clip_start_cuts_blocks_open(
    start: float, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Blender shows the insides of such blocks."""
    camera = scenes.camera("Eye", (0.0, 0.0, 10.0))
    camera.rotation_euler, camera.data.clip_start = (0.0, 0.0, 0.0), start
    blocks = scenes.linked_cubes([(0, 0, 0), (1, 0, 0), (40, 0, 0)], size=1.0)  # the last out of the frame
    extract(blocks, [camera], need_targets=False)
    assert [f"cuts {cut} blocks open" in said for said in caplog.messages] == [True] * bool(cut)


@pytest.mark.parametrize("start", [1.0, 6.4, 9.0])
def test_blocks_before_the_clip_start_are_cut_as_blender_cuts_them(start: float) -> None:
    camera = scenes.camera("Eye", (0.0, 0.0, 10.0))
    camera.rotation_euler, camera.data.clip_start = (0.0, 0.0, 0.0), start
    blocks = scenes.linked_cubes([(0, 0, 0), (1, 0, 0), (3, 0, 3)], size=1.0)
    bpy.context.view_layer.update()
    scene = extract(blocks, [camera], need_targets=False)
    (seen,) = rasterize(scene.grid.exposed_faces, [scene.views[0].camera], "reference")
    faces = scene.grid.exposed_faces
    shown = {scene.source.block_objects[b] for b in faces.block[np.unique(seen.face[seen.face >= 0])]}
    tops = {"Block 0": 9.5, "Block 1": 9.5, "Block 2": 6.5}
    assert shown == {name for name, distance in tops.items() if distance >= start}


def test_constraints_and_hidden_eyes_count() -> None:
    camera, aim = scenes.camera(), scenes.add(None, "Aim", (0.0, 0.0, 0.0), bpy.context.scene.collection)
    camera.constraints.new("TRACK_TO").target = aim
    camera.hide_set(True)
    bpy.context.view_layer.update()
    x, y, _ = (read_camera(camera, np.eye(4)).view @ (0.0, 0.0, 0.0, 1.0))[:3]
    assert (x, y) == pytest.approx((0.0, 0.0), abs=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "PANO"}, "is a pano camera"),
        ({"clip_start": 5.0, "clip_end": 2.0}, "make the start smaller"),
    ],
)
def test_impossible_cameras_are_refused(change: dict[str, object], words: str) -> None:
    camera = scenes.camera("Eye")
    for name, value in change.items():
        setattr(camera.data, name, value)
    bpy.context.view_layer.update()
    with pytest.raises(CameraError, match=f"camera 'Eye': .*{words}"):
        read_camera(camera, np.eye(4))


def test_disabled_and_missing_cameras_are_refused() -> None:
    camera = scenes.camera("Eye")
    camera.hide_viewport = True
    bpy.context.view_layer.update()
    with pytest.raises(BlockcoreError, match="camera 'Eye': is disabled in the viewport"):
        read_camera(camera, np.eye(4))
    with pytest.raises(BlockcoreError, match="there is no camera called 'Nose'; the scene has 'Eye'"):
        find_camera("Nose")


@pytest.mark.parametrize("what", ["mirrored view", "skewed projection", "two sizes"])
def test_cameras_blender_cannot_have_are_refused_before_anything_is_made(what: str) -> None:
    view, proj, size = np.eye(4), perspective(1.0, 1.0, 0.1, 100.0), 64
    if what == "mirrored view":
        view[0, 0] = -1.0
    elif what == "skewed projection":
        proj[0, 1] = 0.3
    else:
        size = 32
    village = captured(1)
    cameras = (
        Camera(np.eye(4), perspective(1.0, 1.0, 0.1, 100.0), 64, 64, "good"),
        Camera(view, proj, size, size, "bad"),
    )
    with pytest.raises(BlockcoreError, match="'bad'"):
        build(BlockScene(village.grid, village.materials, views=tuple(View(camera) for camera in cameras)))
    assert len(bpy.data.objects) == 0


def test_measured_light_is_refused_before_anything_is_made() -> None:
    scene = captured(1)
    light = BakedLight(np.ones((len(scene.grid.exposed_faces), 1, 1, 3), np.float32))
    with pytest.raises(SceneError, match="measured on its faces, and no lamp gives it back; apply the materials in"):
        build(replace(scene, lighting=light))
    assert not bpy.data.cameras and not bpy.data.lights
