"""What a pixel sees through cells that are not quite there, plainly and in float64, to hold the kernels to.

Every plane of the lattice cuts a ray; between two cuts it is in one cell. Cuts are sorted, not walked.
"""

from __future__ import annotations

import torch

from blockcore.model.camera import Camera
from blockcore.occupancy.rays import rays


def seen_through(
    alpha: torch.Tensor,
    colors: torch.Tensor,
    number: torch.Tensor,
    camera: Camera,
    world_scale: float,
    background: torch.Tensor,
) -> torch.Tensor:
    """Composes a picture front to back; arguments and result as for ``walk.walk``, of one camera and in float64."""
    size = (number.shape[0], number.shape[1], number.shape[2])
    start, end = (torch.from_numpy(points) for points in rays(camera, size, world_scale))
    way = end - start
    planes = [torch.arange(n + 1, dtype=torch.float64) for n in size]
    cuts = torch.cat([(p - start[:, a, None]) / way[:, a, None] for a, p in enumerate(planes)], dim=1)
    axis = torch.cat([torch.full((n + 1,), a) for a, n in enumerate(size)]).expand(cuts.shape)
    cuts = torch.where((cuts > 0.0) & (cuts < 1.0), cuts, 1.0)
    cuts, order = cuts.sort(dim=1)
    axis = axis.gather(1, order)
    middle = (cuts[:, :-1] + cuts[:, 1:]) / 2
    cell = torch.floor(start[:, None] + middle[..., None] * way[:, None]).long()
    inside = ((cell >= 0) & (cell < torch.tensor(size))).all(dim=2) & (cuts[:, 1:] > cuts[:, :-1])
    cell = torch.where(inside[..., None], cell, 0)
    found = torch.where(inside, number.long()[cell[..., 0], cell[..., 1], cell[..., 2]], -1)
    face = 2 * axis[:, :-1] + (way.gather(1, axis[:, :-1]) > 0)
    opacity = torch.where(found >= 0, alpha.double()[found.clamp_min(0)], 0.0)
    left = torch.cumprod(torch.cat([torch.ones(len(start), 1), 1.0 - opacity], dim=1), dim=1)
    shown = colors.double()[found.clamp_min(0), face]
    color = ((left[:, :-1] * opacity)[..., None] * shown).sum(dim=1) + left[:, -1:] * background.double().reshape(-1, 3)
    return torch.cat([color, 1.0 - left[:, -1:]], dim=1).T.reshape(4, camera.height, camera.width)
