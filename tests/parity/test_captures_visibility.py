"""The rasterisers against the stored WebGPU captures: not one pixel differs."""

from __future__ import annotations

import numpy as np
import pytest

from blockcore.model.grid import FACE_SLOTS
from blockcore.model.scene import BlockScene
from blockcore.visibility import rasterize
from tests.captures import captured


def face_colors(scene: BlockScene) -> np.ndarray:
    """(F + 1, 3) whole numbers 0…255: the colour of each exposed face, and of the background at the end."""
    faces = scene.grid.exposed_faces
    surface = scene.palette.colors[scene.materials[faces.block], FACE_SLOTS[faces.direction]]
    lit = np.clip(surface * scene.lighting.face_light()[faces.direction], 0.0, 1.0)
    return np.rint(255 * np.concatenate([lit, [scene.lighting.background]]))


@pytest.mark.parametrize(
    ("rasterizer", "dataset"), [("cpu", 1), ("cpu", 2), ("cpu", 4), ("reference", 1), ("reference", 4)]
)
def test_every_pixel_of_the_captures(rasterizer: str, dataset: int) -> None:
    scene = captured(dataset)
    colors = face_colors(scene)
    drawn = rasterize(scene.grid.exposed_faces, [view.camera for view in scene.views], rasterizer)
    for view, seen in zip(scene.views, drawn, strict=True):
        assert view.target is not None
        np.testing.assert_array_equal(colors[seen.face], view.target[..., :3], err_msg=view.camera.name)


def test_the_reference_draws_the_hills_as_the_cpu_does() -> None:
    scene = captured(2)
    cameras = [scene.views[0].camera]
    expected, actual = (rasterize(scene.grid.exposed_faces, cameras, name)[0] for name in ("reference", "cpu"))
    np.testing.assert_array_equal(actual.triangle_id, expected.triangle_id)
