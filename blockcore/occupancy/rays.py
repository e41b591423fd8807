"""The rays of a camera's pixels, in the coordinates of a grid's lattice, where a cell is a unit cube."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blockcore.model.camera import Camera


def unprojection(camera: Camera, size: tuple[int, int, int], world_scale: float) -> npt.NDArray[np.float64]:
    """Returns the (4, 4) matrix that takes clip space to lattice coordinates, up to the division by the fourth."""
    to_lattice = np.diag([1.0 / world_scale, 1.0 / world_scale, 1.0 / world_scale, 1.0])
    to_lattice[:3, 3] = [size[0] / 2, 0.0, size[2] / 2]
    return np.asarray(to_lattice @ np.linalg.inv(camera.view_proj.astype(np.float64)))


def rays(
    camera: Camera, size: tuple[int, int, int], world_scale: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns where the ray of each pixel's centre begins and ends, (H·W, 3) each: the near and the far plane."""
    across = (np.arange(camera.width) + 0.5) / camera.width * 2.0 - 1.0
    down = 1.0 - (np.arange(camera.height) + 0.5) / camera.height * 2.0
    ndc = np.stack(np.broadcast_arrays(across, down[:, None]), axis=-1).reshape(-1, 2)
    matrix = unprojection(camera, size, world_scale)
    near = ndc @ matrix[:, :2].T + matrix[:, 3]
    far = near + matrix[:, 2]
    return near[:, :3] / near[:, 3:], far[:, :3] / far[:, 3:]
