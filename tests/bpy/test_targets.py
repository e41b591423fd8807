"""The picture that a camera's view shows is its target, whatever kind of image it is; or one clear line."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from blockcore.errors import BlockcoreError
from blockcore.io.pictures import encode_png
from tests.parts import need

need("bpy")

import bpy  # noqa: E402

from bridge.blender.load_targets import load_target, load_targets  # noqa: E402
from bridge.blender.targets import camera_target  # noqa: E402
from tests.bpy import scenes  # noqa: E402

SIZE = 64, 48


def frame(number: int) -> npt.NDArray[np.uint8]:
    """One colour a frame, with a corner that tells how it lies."""
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    pixels[:] = (40 * number, 120, 200 - 30 * number)
    pixels[:16, :16] = (255, 255, 255)
    return pixels


def shown(image: Any, **frames: Any) -> Any:
    """A camera that shows an image."""
    camera = scenes.camera("Eye")
    scenes.picture_size(*SIZE)
    entry = camera.data.background_images.new()
    entry.image = image
    for name, value in frames.items():
        setattr(entry.image_user, name, value)
    camera.data.show_background_images = True
    return camera


def sequence(folder: Path, count: int = 4) -> Any:
    for number in range(1, count + 1):
        (folder / f"shot.{number:04d}.png").write_bytes(encode_png(frame(number)))
    image = bpy.data.images.load(str(folder / "shot.0001.png"))
    image.source = "SEQUENCE"
    return image


@pytest.mark.parametrize(
    ("frames", "current", "number"),
    [
        ({"frame_duration": 4, "frame_start": 1}, 3, 3),
        ({"frame_duration": 4, "frame_start": 11}, 12, 2),
        ({"frame_duration": 2, "frame_start": 1, "frame_offset": 2}, 2, 4),
        ({"frame_duration": 4, "frame_start": 1, "use_cyclic": True}, 7, 3),
    ],
)
def test_a_sequence_is_taken_at_the_current_frame(
    frames: dict[str, Any], current: int, number: int, tmp_path: Path
) -> None:
    camera = shown(sequence(tmp_path), **frames)
    bpy.context.scene.frame_set(current)
    assert np.array_equal(camera_target(camera), frame(number))


def movie(folder: Path) -> Any:
    """The frames as a movie, which Blender's sequencer makes in a scene of its own."""
    sequence(folder)
    scene = bpy.data.scenes.new("Movie")
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image(name="Shots", filepath=str(folder / "shot.0001.png"), channel=1, frame_start=1)
    for number in (2, 3, 4):
        strip.elements.append(f"shot.{number:04d}.png")
    strip.frame_final_duration = 4
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = *SIZE, 100
    scene.frame_start, scene.frame_end, scene.view_settings.view_transform = 1, 4, "Standard"
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.constant_rate_factor = "MPEG4", "LOSSLESS"
    render.filepath = str(folder / "movie.mp4")
    bpy.ops.render.render(animation=True, scene=scene.name)
    bpy.data.scenes.remove(scene)
    return bpy.data.images.load(str(folder / "movie.mp4"))


def test_a_movie_is_taken_at_the_current_frame(tmp_path: Path) -> None:
    camera = shown(movie(tmp_path), frame_duration=4, frame_start=1)
    before = len(bpy.data.scenes), len(bpy.data.images)
    bpy.context.scene.frame_set(3)
    found = camera_target(camera).astype(int)
    assert np.abs(found - frame(3)).max() <= 4  # a movie halves the resolution of colours, and rounds them
    assert (len(bpy.data.scenes), len(bpy.data.images)) == before


def generated(folder: Path) -> Any:
    image = bpy.data.images.new("Grid", *SIZE)
    image.generated_type = "COLOR_GRID"
    return image


def tiled(folder: Path) -> Any:
    image = bpy.data.images.new("Tiles", *SIZE, tiled=True)
    return image


def out_of_range(folder: Path) -> Any:
    return sequence(folder)


def missing(folder: Path) -> Any:
    image = sequence(folder)
    image.filepath = str(folder / "gone.0001.png")
    return image


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (generated, "image 'Grid' is generated, not a picture"),
        (tiled, "image 'Tiles': has UDIM tiles"),
        (out_of_range, "image 'shot.0001.png': shows nothing at frame 9"),
        (missing, r"gone.0009.png\): cannot be read"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(make: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    camera = shown(make(tmp_path), frame_duration=4 if make is out_of_range else 20, frame_start=1)
    bpy.context.scene.frame_set(9)
    with pytest.raises(BlockcoreError, match=f"target of camera 'Eye': .*{words}"):
        camera_target(camera)


# Files as other systems name them


@pytest.mark.parametrize(
    ("camera", "file"),
    [
        ("Eye", "Eye0003.png"),
        ("Eye", "Eye_0003.png"),
        ("Eye.001", "Eye.0010003.png"),
        ("Shot/1", "Shot_1.png"),
        ("Würfel 方块", unicodedata.normalize("NFD", "Würfel 方块.png")),
        ("Eye", "eye.PNG"),
    ],
)
def test_pictures_are_found_as_systems_name_them(camera: str, file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(encode_png(frame(3)))
    eye = scenes.camera(camera)
    scenes.picture_size(*SIZE)
    assert load_targets(tmp_path, [eye]) == [camera]
    assert np.array_equal(camera_target(eye), frame(3))


def test_of_many_frames_the_current_one_is_taken(tmp_path: Path) -> None:
    for number in (1, 2, 4):
        (tmp_path / f"Eye{number:04d}.png").write_bytes(encode_png(frame(number)))
    eye, other = scenes.camera("Eye"), scenes.camera("Eye0001")
    scenes.picture_size(*SIZE)
    bpy.context.scene.frame_set(4)
    assert load_targets(tmp_path, [eye, other]) == ["Eye", "Eye0001"]
    assert np.array_equal(camera_target(eye), frame(4))
    assert np.array_equal(camera_target(other), frame(1))
    bpy.context.scene.frame_set(3)
    with pytest.raises(BlockcoreError, match="there are 3 frames of 'Eye', but none of frame 3"):
        load_targets(tmp_path, [eye])


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("Eye.png", "Eye.bmp"):
        (tmp_path / name).write_bytes(encode_png(frame(1)))
    with pytest.raises(BlockcoreError, match=r"Eye.bmp: Eye.png is called alike"):
        load_targets(tmp_path, [scenes.camera("Eye")])


def test_a_phones_picture_is_turned_upright(tmp_path: Path) -> None:
    from PIL import Image

    lying = Image.fromarray(np.rot90(frame(2)))
    held = lying.getexif()
    held[0x0112] = 6
    lying.save(tmp_path / "Eye.jpg", exif=held, quality=100, subsampling=0)
    eye = scenes.camera("Eye")
    scenes.picture_size(*SIZE)
    load_targets(tmp_path, [eye])
    assert np.abs(camera_target(eye).astype(int) - frame(2)).max() <= 8


def soft_edges() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A picture that is opaque in parts, straight and multiplied with its opacity."""
    straight = np.random.default_rng(8).integers(0, 256, (SIZE[1], SIZE[0], 4)).astype(np.uint8)
    straight[..., 3] |= 96
    multiplied = straight.copy()
    multiplied[..., :3] = np.rint(straight[..., :3] * (straight[..., 3:] / 255.0))
    return straight, multiplied


@pytest.mark.parametrize("mode", ["STRAIGHT", "PREMUL", "CHANNEL_PACKED", "NONE"])
@pytest.mark.parametrize("packed", [False, True], ids=["file", "packed"])
def test_soft_edges_are_read_as_the_image_says(mode: str, packed: bool, tmp_path: Path) -> None:
    straight, multiplied = soft_edges()
    (tmp_path / "soft.png").write_bytes(encode_png(multiplied if mode == "PREMUL" else straight))
    image = bpy.data.images.load(str(tmp_path / "soft.png"))
    if packed:
        image.pack()
    image.alpha_mode = mode
    found = camera_target(shown(image))
    wanted = straight[..., :3] if mode == "NONE" else straight
    assert np.abs(found.astype(int) - wanted).max() <= (2 if mode == "PREMUL" else 0)


def test_a_movie_clip_beside_the_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(frame(1)))
    camera = shown(bpy.data.images.load(str(tmp_path / "a.png")))
    entry = camera.data.background_images.new()
    entry.source = "MOVIE_CLIP"
    assert camera_target(camera).shape == (SIZE[1], SIZE[0], 3)  # an empty one shows nothing
    entry.clip = bpy.data.movieclips.load(str(tmp_path / "a.png"))
    with pytest.raises(BlockcoreError, match="2 background images are shown"):
        camera_target(camera)


def test_cameras_that_share_a_lens_have_pictures_of_their_own(tmp_path: Path) -> None:
    one = scenes.camera("One")
    other = bpy.data.objects.new("Other", one.data)
    bpy.context.scene.collection.objects.link(other)
    for number, camera in enumerate((one, other)):
        (tmp_path / f"{camera.name}.png").write_bytes(encode_png(frame(number)))
    load_targets(tmp_path, [one, other])
    for number, camera in enumerate((one, other)):
        assert np.array_equal(camera_target(camera), frame(number))


def eyes(count: int) -> list[Any]:
    scenes.picture_size(*SIZE)
    return [scenes.camera(f"Eye {number}") for number in range(count)]


def test_pictures_are_matched_in_order_as_people_count(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        (tmp_path / f"shot{number}.png").write_bytes(encode_png(frame(number % 6)))
    cameras = eyes(3)
    with pytest.raises(BlockcoreError, match=r"no picture is called like a camera; name them .*, or match by order"):
        load_targets(tmp_path, cameras)
    with pytest.raises(BlockcoreError, match="3 pictures for 2 cameras; tick as many"):
        load_targets(tmp_path, cameras[:2], in_order=True)
    assert len(load_targets(tmp_path, cameras, in_order=True)) == 3
    for camera, number in zip(cameras, (1, 2, 4), strict=True):
        assert np.array_equal(camera_target(camera), frame(number))


def test_targets_that_are_there_are_not_replaced_unasked(tmp_path: Path) -> None:
    cameras = eyes(2)
    (tmp_path / "mine.png").write_bytes(encode_png(frame(5)))
    load_target(tmp_path / "mine.png", cameras[0])
    for number in range(2):
        (tmp_path / f"Eye {number}.png").write_bytes(encode_png(frame(number + 1)))
    assert load_targets(tmp_path, cameras, replace=False) == ["Eye 1"]
    assert np.array_equal(camera_target(cameras[0]), frame(5))
    with pytest.raises(BlockcoreError, match="every camera has a target; choose Replace Targets"):
        load_targets(tmp_path, cameras, replace=False)
    assert load_targets(tmp_path, cameras) == ["Eye 0", "Eye 1"]
    assert np.array_equal(camera_target(cameras[0]), frame(1))
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(BlockcoreError, match=r"no\.png"):
        load_target(tmp_path / "no.png", cameras[0])
