"""Texture coordinates, the parts into which tiles cut faces, and gradients through them, against plain references."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blockcore import DifferentiableBlockRenderer
from blockcore.model.camera import Camera, look_at, orthographic, perspective
from blockcore.model.grid import FACE_CORNERS, FACE_SLOTS, FACE_UVS, BlockGrid
from blockcore.model.lighting import WEBGPU_LIGHTING
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.settings import OptimizeSettings
from blockcore.optimize import optimize_materials
from blockcore.visibility import rasterize
from blockcore.visibility.geometry import surface_points
from blockcore.visibility.parts_numba import code_parts
from blockcore.visibility.texels import TileCuts, looks_radiance, texture_coordinates
from tests.captures import captured
from tests.parts import need

CAMERAS = [
    Camera(look_at((9.0, 12.0, 14.0), (0.0, 4.0, 0.0)), perspective(1.0, 1.4, 0.1, 500.0), 70, 50),
    Camera(look_at((0.3, 3.1, 0.2), (5.0, 2.0, 4.0)), perspective(1.6, 1.0, 1.0, 500.0), 64, 64, "inside"),
    Camera(look_at((9.0, 12.0, 14.0), (0.0, 4.0, 0.0)), orthographic(20.0, 14.0, -50.0, 100.0), 70, 50, "orthographic"),
]


def world() -> BlockGrid:
    rng = np.random.default_rng(5)
    return BlockGrid((6, 5, 7), 1.7, np.argwhere(rng.random((6, 5, 7)) < 0.35))


def palette() -> Palette:
    """Tiles of several sizes on the same side, some translucent, some materials with none."""
    rng = np.random.default_rng(6)
    shapes = {(1, 2): (4, 4), (2, 2): (6, 4), (3, 2): (3, 16), (3, 0): (16, 16), (4, 0): (5, 7), (7, 4): (1, 2)}
    shapes |= {(5, d): (16, 16) for d in range(6)}
    return WEBGPU_PALETTE.with_tiles({key: rng.integers(0, 256, (*size, 4), np.uint8) for key, size in shapes.items()})


def plain_coordinates(grid: BlockGrid, camera: Camera, face: np.ndarray) -> np.ndarray:
    """Texture coordinates from where the pixels' rays meet the faces' planes."""
    faces = grid.exposed_faces
    pixel, point = surface_points(faces, camera, face)
    shown = face.ravel()[pixel]
    center = np.array([grid.size[0] / 2, 0.0, grid.size[2] / 2])
    within = point / grid.world_scale + center - faces.cell[shown]
    corners, uvs = (table[faces.direction[shown]].astype(np.float64) for table in (FACE_CORNERS, FACE_UVS))
    uv = np.zeros((face.size, 2))
    uv[pixel] = uvs[:, 0]
    for corner in (1, 3):
        along = ((within - corners[:, 0]) * (corners[:, corner] - corners[:, 0])).sum(axis=1)
        uv[pixel] += along[:, None] * (uvs[:, corner] - uvs[:, 0])
    return uv.reshape(*face.shape, 2)


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda c: c.name)
def test_coordinates_are_where_rays_meet_faces(camera: Camera) -> None:
    grid = world()
    (seen,) = rasterize(grid.exposed_faces, [camera], "reference")
    uv = texture_coordinates(grid.exposed_faces, camera, seen)
    assert (seen.face >= 0).mean() > 0.1
    assert np.abs(uv - plain_coordinates(grid, camera, seen.face)).max() < 2e-4  # corners are float32


def test_parts_show_the_texel_of_every_material() -> None:
    """Cutting, numbering and looking up again gives the very texel that a direct look-up gives."""
    tiles = palette()
    rng = np.random.default_rng(8)
    uv = np.concatenate([rng.random((4000, 2)), rng.integers(0, 49, (1000, 2)) / 48]).astype(np.float32)
    direction = rng.integers(0, 6, len(uv))
    cuts, codes = TileCuts.of(tiles), np.empty((1, len(uv)), np.int64)
    triangles, number, faces = (
        (2 * direction[None] + 1).astype(np.int32),
        np.arange(-1, 6),
        np.arange(6, dtype=np.int32),
    )
    code_parts(triangles, number, faces, uv.T[:, None], *cuts.padded(), 1, cuts.most, codes)
    rows, columns = cuts.most
    parts = np.stack([codes[0] // (rows * columns), codes[0] % columns, codes[0] // columns % rows], axis=1)
    assert (parts[:, 0] == direction).all()
    looks, look = np.unique(parts, axis=0, return_inverse=True)
    radiance = looks_radiance(tiles, WEBGPU_LIGHTING, looks)
    light = WEBGPU_LIGHTING.face_light()
    for material in range(1, len(tiles)):
        for p in range(0, len(uv), 7):
            d = direction[p]
            expected = tiles.colors[material, FACE_SLOTS[d]].astype(np.float64)
            tile = tiles.tiles.get((material, d))
            if tile is not None:
                height, width = tile.shape[:2]
                texel = tile[min(int(uv[p, 1] * height), height - 1), min(int(uv[p, 0] * width), width - 1)] / 255.0
                expected = (1.0 - texel[3]) * expected + texel[3] * texel[:3]
            np.testing.assert_allclose(radiance[material, look.ravel()[p]], np.clip(expected * light[d], 0, 1))


def plain_picture(logits: torch.Tensor, grid: BlockGrid, camera: Camera, tiles: Palette) -> torch.Tensor:
    """(3, H, W) float64, pixel by pixel from the contract."""
    faces = grid.exposed_faces
    (seen,) = rasterize(faces, [camera], "reference")
    uv = plain_coordinates(grid, camera, seen.face)
    light = WEBGPU_LIGHTING.face_light()
    shares = torch.softmax(logits[:, 1:], dim=1)
    pixels = []
    for y, x in np.ndindex(*seen.face.shape):
        face = seen.face[y, x]
        if face < 0:
            pixels.append(torch.tensor(WEBGPU_LIGHTING.background, dtype=torch.float64))
            continue
        direction = faces.direction[face]
        colors = []
        for material in range(1, len(tiles)):
            color = tiles.colors[material, FACE_SLOTS[direction]].astype(np.float64)
            tile = tiles.tiles.get((material, int(direction)))
            if tile is not None:
                row, column = (
                    int(np.clip(np.floor(uv[y, x, axis] * tile.shape[1 - axis]), 0, tile.shape[1 - axis] - 1))
                    for axis in (1, 0)
                )
                texel = tile[row, column] / 255.0
                color = (1.0 - texel[3]) * color + texel[3] * texel[:3]
            colors.append(np.clip(color * light[direction], 0.0, 1.0))
        pixels.append(shares[faces.block[face]] @ torch.tensor(np.array(colors)))
    return torch.stack(pixels, dim=1).reshape(3, *seen.face.shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("camera", CAMERAS, ids=lambda c: c.name)
def test_pictures_and_gradients_match_the_reference(camera: Camera, dtype: torch.dtype) -> None:
    grid, tiles = world(), palette()
    generator = torch.Generator().manual_seed(9)
    logits = torch.randn(len(grid), len(tiles), generator=generator, dtype=torch.float64)
    cotangent = torch.randn(3, camera.height, camera.width, generator=generator, dtype=torch.float64)
    theirs_in = logits.clone().requires_grad_()
    theirs = plain_picture(theirs_in, grid, camera, tiles)
    (theirs_grad,) = torch.autograd.grad(theirs, theirs_in, cotangent)
    ours_in = logits.to(dtype).requires_grad_()
    renderer = DifferentiableBlockRenderer(grid.size, grid.world_scale, palette=tiles, rasterizer="reference")
    view, proj = (torch.tensor(matrix) for matrix in (camera.view, camera.proj))
    ours = renderer.render(grid.positions, ours_in, view, proj, camera.height, camera.width)[0, :3]
    (ours_grad,) = torch.autograd.grad(ours, ours_in, cotangent.to(dtype))
    assert (ours.double() - theirs).abs().max() < 1e-6
    assert torch.linalg.norm(ours_grad.double() - theirs_grad) / torch.linalg.norm(theirs_grad) <= 1e-5


@pytest.mark.cuda
def test_a_gpu_gives_the_same_pictures_and_gradients() -> None:
    need("cuda")
    grid, tiles, camera = world(), palette(), CAMERAS[0]
    generator = torch.Generator().manual_seed(9)
    logits = torch.randn(len(grid), len(tiles), generator=generator)
    cotangent = torch.randn(4, camera.height, camera.width, generator=generator)
    view, proj = (torch.tensor(matrix) for matrix in (camera.view, camera.proj))
    results = []
    for device in ("cpu", "cuda"):
        renderer = DifferentiableBlockRenderer(
            grid.size, grid.world_scale, device=device, palette=tiles, rasterizer="cpu"
        )
        leaf = logits.to(device).requires_grad_()
        picture = renderer.render(grid.positions, leaf, view, proj, camera.height, camera.width)[0]
        (gradient,) = torch.autograd.grad(picture, leaf, cotangent.to(device))
        results.append((picture.detach().cpu(), gradient.cpu()))
    (ours, ours_grad), (theirs, theirs_grad) = results
    assert (ours - theirs).abs().max() < 1e-6
    assert torch.linalg.norm(ours_grad - theirs_grad) / torch.linalg.norm(theirs_grad) <= 1e-5


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize(
    "changes", [{}, {"method": "gradient"}, {"method": "gradient", "objective": "pixels"}], ids=str
)
def test_materials_with_tiles_are_found(device: str, changes: dict[str, str]) -> None:
    if device == "cuda":
        need("cuda")
    scene = captured(3)
    settings = OptimizeSettings(init="random", device=device, rasterizer="cpu", **changes)
    result = optimize_materials(scene, settings)
    seen = result.visible_blocks
    assert (result.initial[seen] != scene.materials[seen]).mean() > 0.5
    np.testing.assert_array_equal(result.materials[seen], scene.materials[seen])


def test_hard_materials_are_the_textured_capture() -> None:
    scene = captured(3)
    view = scene.views[0]
    renderer = DifferentiableBlockRenderer(scene.grid.size, scene.grid.world_scale, palette=scene.palette)
    logits = torch.nn.functional.one_hot(torch.tensor(scene.materials).long(), len(scene.palette)).float()
    matrices = (torch.tensor(matrix) for matrix in (view.camera.view, view.camera.proj))
    rgba = renderer.render(
        scene.grid.positions, logits, *matrices, view.camera.height, view.camera.width, hard_materials=True
    )
    picture = (rgba[0, :3] * 255).round().permute(1, 2, 0).numpy()
    assert view.target is not None
    assert (np.abs(picture - view.target[..., :3]).max(axis=-1) <= 1).mean() >= 0.999


def test_changing_the_palette_is_noticed() -> None:
    grid, camera = world(), CAMERAS[0]
    renderer = DifferentiableBlockRenderer(grid.size, grid.world_scale)
    view, proj = (torch.tensor(matrix) for matrix in (camera.view, camera.proj))
    logits = torch.zeros(len(grid), 8)
    flat = renderer.render(grid.positions, logits, view, proj, camera.height, camera.width)
    renderer.palette = palette()
    tiled = renderer.render(grid.positions, logits, view, proj, camera.height, camera.width)
    assert (flat - tiled).abs().max() > 0.05
