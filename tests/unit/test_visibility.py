"""The rasterisers: the CPU's against the reference, bit for bit, and both against what is known beforehand."""

import numpy as np
import pytest

from blockcore.camera import Camera, look_at, orthographic, perspective
from blockcore.grid import BlockGrid, ExposedFaces
from blockcore.visibility import cpu, reference


def random_faces(rng: np.random.Generator) -> ExposedFaces:
    size = rng.integers(1, 7, 3)
    cells = np.argwhere(rng.random(tuple(size)) < rng.choice([0.1, 0.4, 1.0]))
    scale = float(rng.choice([0.5, 1.0, 2.0, 0.3]))
    return BlockGrid(tuple(size.tolist()), scale, cells).exposed_faces


def random_camera(rng: np.random.Generator, faces: ExposedFaces) -> Camera:
    """A camera that may be far off, among the blocks or inside one; perspective, orthographic or shifted."""
    width, height = (int(n) for n in rng.integers(1, 70, 2))
    extent = np.array(faces.grid_size) * faces.world_scale
    middle = np.array([0.0, extent[1] / 2, 0.0])
    eye = middle + rng.normal(size=3) * extent * rng.choice([0.2, 0.6, 2.0])
    if rng.random() < 0.2:  # on the lattice, where faces are seen edge-on
        eye = np.round(eye / faces.world_scale) * faces.world_scale
    center = middle + rng.normal(size=3) * extent * 0.2
    aspect = width / height * rng.choice([0.5, 1.0])
    if rng.random() < 0.3:
        tall = float(extent.max() * rng.choice([0.3, 1.0, 3.0]))
        proj = orthographic(tall * aspect, tall, -0.3 * tall, 2.0 * tall)
    else:
        near, far = rng.choice([0.01, 0.1, 1.0]), rng.choice([5.0, 500.0])
        proj = perspective(float(rng.uniform(0.1, 2.8)), aspect, float(near), float(far))
    if rng.random() < 0.3:
        shift = np.eye(4)
        shift[:2, 3] = rng.normal(size=2)
        proj = shift @ proj
    return Camera(look_at(eye, center, (0.01, 1.0, 0.02)), proj, width, height)


@pytest.mark.parametrize("subpixel_bits", [8, 4])
@pytest.mark.parametrize("seed", range(20))
def test_cpu_is_the_reference_bit_for_bit(seed: int, subpixel_bits: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(10):
        faces = random_faces(rng)
        cameras = [random_camera(rng, faces) for _ in range(2)]
        expected = reference.rasterize(faces, cameras, subpixel_bits)
        actual = cpu.rasterize(faces, cameras, subpixel_bits)
        for camera, e, a in zip(cameras, expected, actual, strict=True):
            np.testing.assert_array_equal(a.triangle_id, e.triangle_id, err_msg=str(camera))
