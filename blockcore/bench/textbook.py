"""The loop an expert would write first with nvdiffrast: rasterise, interpolate, shade, autograd, Adam, every step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from blockcore.errors import SceneError
from blockcore.model.baked_light import BakedLight
from blockcore.model.grid import FACE_NORMALS, FACE_SLOTS, TRIANGLE_CORNERS
from blockcore.model.scene import BlockScene


class Textbook:
    """All views of a scene, optimised eagerly from random logits."""

    def __init__(self, scene: BlockScene, device: torch.device) -> None:
        import nvdiffrast.torch as dr

        self.dr, self.context = dr, dr.RasterizeCudaContext(device=device)

        def tensor(values: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.tensor(np.ascontiguousarray(values), dtype=dtype, device=device)

        faces, light = scene.grid.exposed_faces, scene.lighting
        if isinstance(light, BakedLight):
            raise SceneError("the textbook's loop knows no baked light; use it on a map")
        corners = faces.corners().reshape(-1, 3)
        self.size = (scene.views[0].camera.height, scene.views[0].camera.width)
        self.vertices = tensor(np.concatenate([corners, np.ones((len(corners), 1))], axis=1))
        first = 4 * np.arange(len(faces))[:, None, None]
        self.triangles = tensor((first + TRIANGLE_CORNERS).reshape(-1, 3), torch.int32)
        self.matrices = tensor(np.stack([view.camera.view_proj for view in scene.views]))
        self.normals = tensor(FACE_NORMALS[faces.direction]).repeat_interleave(4, dim=0)
        self.block = tensor(faces.block, torch.int64)
        self.slot = tensor(FACE_SLOTS[faces.direction], torch.int64)
        self.palette = tensor(scene.palette.colors)
        sun = np.asarray(light.sun_direction) / np.linalg.norm(light.sun_direction)
        self.sun, self.sun_color = tensor(sun), tensor(light.sun_color)
        self.ground, self.sky = tensor(light.ground_color), tensor(light.sky_color)
        self.ambient, self.background = light.ambient_strength, tensor(light.background)
        targets = [view.target[::-1, :, :3] for view in scene.views if view.target is not None]
        self.targets = tensor(np.stack(targets)) / 255.0  # nvdiffrast's row 0 is at the bottom
        self.logits = torch.randn(len(scene.grid), len(scene.palette), device=device, requires_grad=True)
        self.adam = torch.optim.Adam([self.logits], lr=0.3)

    def step(self) -> torch.Tensor:
        """Takes one step; returns its loss."""
        shares = torch.softmax(self.logits[:, 1:], dim=1)
        albedo = torch.einsum("nm,msc->nsc", shares, self.palette[1:])[self.block, self.slot].repeat_interleave(
            4, dim=0
        )
        positions = torch.einsum("bij,vj->bvi", self.matrices, self.vertices).contiguous()
        drawn, _ = self.dr.rasterize(self.context, positions, self.triangles, self.size)
        attributes = torch.cat([albedo, self.normals], dim=1)
        surface, _ = self.dr.interpolate(attributes[None], drawn, self.triangles)
        color, normal = surface[..., :3], torch.nn.functional.normalize(surface[..., 3:], dim=-1)
        t = normal[..., 1:2] * 0.5 + 0.5
        hemisphere = (1.0 - t) * self.ground + t * self.sky
        light = self.ambient * hemisphere + (normal @ self.sun).clamp_min(0.0)[..., None] * self.sun_color
        picture = torch.where(drawn[..., 3:] > 0, (color * light).clamp(0.0, 1.0), self.background)
        loss = (picture - self.targets).square().mean()
        self.adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.adam.step()
        return loss.detach()

    def release(self) -> None:
        """Gives back the context's memory."""
        del self.context
