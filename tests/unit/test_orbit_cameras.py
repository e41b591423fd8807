"""Cameras that orbit a box: they see all of it, stand where asked and are proper rotations."""

import math

import numpy as np
import pytest

from blockcore.errors import CameraError
from bridge.cameras import orbit

LOW, HIGH = np.array([-3.0, 2.0, 0.0]), np.array([9.0, 5.0, 4.0])


def test_every_camera_sees_the_whole_box_upright():
    fov_x, fov_y = math.radians(60), math.radians(40)
    matrices = orbit(LOW, HIGH, 7, [math.radians(15), math.radians(50)], fov_x, fov_y)
    assert matrices.shape == (7, 4, 4)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (HIGH - LOW) + LOW
    for matrix in matrices:
        np.testing.assert_allclose(matrix[:3, :3].T @ matrix[:3, :3], np.eye(3), atol=1e-12)
        assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0)
        assert matrix[2, 1] > 0.0  # the picture's up points up
        x, y, z = np.linalg.inv(matrix)[:3] @ np.c_[corners, np.ones(8)].T
        assert (z < 0).all()
        assert (abs(x / z) < math.tan(fov_x / 2)).all() and (abs(y / z) < math.tan(fov_y / 2)).all()


def test_cameras_stand_at_the_heights_asked_for():
    matrices = orbit(LOW, HIGH, 8, [0.2, 0.9], 1.0, 1.0)
    out = matrices[:, :3, 3] - (LOW + HIGH) / 2
    np.testing.assert_allclose(np.arcsin(out[:, 2] / np.linalg.norm(out, axis=1)), [0.2] * 4 + [0.9] * 4)
    azimuths = np.degrees(np.arctan2(out[:, 1], out[:, 0])) % 360
    np.testing.assert_allclose(azimuths, [0, 90, 180, 270, 45, 135, 225, 315], atol=1e-9)


@pytest.mark.parametrize(
    ("count", "elevations", "fov"), [(0, [0.1], 1.0), (3, [], 1.0), (3, [math.pi / 2], 1.0), (3, [0.1], 0.0)]
)
def test_impossible_orbits_are_refused(count, elevations, fov):
    with pytest.raises(CameraError, match="orbit cameras"):
        orbit(LOW, HIGH, count, elevations, fov, fov)
