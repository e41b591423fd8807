"""Five published models, fetched when tests run: their surface and what is inside, and blocks by the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.parts import lack, need
from tests.public_models import PUBLIC_MODELS

need("bpy")

import bpy  # noqa: E402

from blockcore.voxelize import reference  # noqa: E402
from blockcore.voxelize.cells import Size, positions_of  # noqa: E402
from blockcore.voxelize.solid import enclosed  # noqa: E402
from blockcore.voxelize.surface import surface_cells  # noqa: E402
from bridge import cli  # noqa: E402
from bridge.blender.model_import import open_model  # noqa: E402
from bridge.blender.triangles import read_model  # noqa: E402

_MOST = 4_000  # triangles that the reference, which takes a millisecond each, looks at; of more, every second, third, …


@pytest.fixture(scope="module", params=PUBLIC_MODELS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = PUBLIC_MODELS[request.param].fetch(tmp_path_factory.mktemp(request.param))
    if found.suffix == ".glb" and bpy.app.version < (4, 5):
        lack("draco", "bpy came without its library then, which unpacks this file; Blender itself has it")
    return found


def triangles_of(path: Path) -> np.ndarray:
    open_model(path)
    return read_model(bpy.context.scene.objects).triangles


def placed(triangles: np.ndarray, across: int) -> tuple[np.ndarray, Size]:
    """The triangles in cells of a grid, and its size."""
    low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
    corners = (triangles - low) / (high - low).max() * across
    x, y, z = (np.floor(corners.max(axis=(0, 1))).astype(int) + 1).tolist()
    return corners, (x, y, z)


def is_closed(triangles: np.ndarray) -> bool:
    """Whether each edge is once there and once back."""
    _, point = np.unique(triangles.reshape(-1, 3), axis=0, return_inverse=True)
    edges = np.stack([point.reshape(-1, 3), np.roll(point.reshape(-1, 3), -1, axis=1)], axis=-1).reshape(-1, 2)
    there, back = (np.sort(ends @ (1, 1 << 32)) for ends in (edges, edges[:, ::-1]))
    return np.array_equal(there, back)


@pytest.mark.parametrize("across", [32, 64, 128])
def test_surface_is_the_reference_cell_by_cell(path, across):
    triangles = triangles_of(path)
    corners, size = placed(triangles[:: -(-len(triangles) // _MOST)], across)
    found = positions_of(surface_cells(corners, size))
    np.testing.assert_array_equal(found, reference.surface_positions(corners, size))
    print(f"{path.parent.name}: {len(found):,} cells at {across}, {len(triangles):,} triangles")


def test_inside_is_where_a_closed_surface_winds_around(path):
    triangles = triangles_of(path)
    if not is_closed(triangles):
        return  # what is inside is nothing that a surface with holes can tell
    corners, size = placed(triangles, 32)
    surface = positions_of(surface_cells(corners, size))
    free = np.ones(size, np.bool_)
    free[tuple(surface.T)] = False
    cells = np.argwhere(free)[::5]
    winds = reference.winding_number(corners, cells + 0.5) > 0.5
    filled = np.zeros(size, np.bool_)
    filled[tuple(positions_of(enclosed(surface_cells(corners, size), size)).T)] = True
    np.testing.assert_array_equal(filled[tuple(cells.T)], winds)
    assert winds.any()


def test_blocks_look_like_the_model(path, tmp_path, capfd):
    capfd.readouterr()
    options = ["--across", "24", "--views", "6", "--json", "-", "--out", str(tmp_path / "blocks.blend")]
    assert cli.main(["blocks", str(path), *options]) == 0
    figures = json.loads(capfd.readouterr().out.splitlines()[-1])  # pytest lets Blender's remarks past
    assert figures["outline_match"] > 0.85
    assert figures["visible_blocks"] > 300
