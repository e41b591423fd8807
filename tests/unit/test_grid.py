"""Block grids: exposed faces and the positions a grid refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockcore.errors import MapError
from blockcore.model.grid import FACE_CORNERS, FACE_NORMALS, BlockGrid, block_to_world, lattice_to_world
from tests.captures import captured


def test_corners_turn_counter_clockwise_around_the_outward_normal():
    edges = FACE_CORNERS[:, 1] - FACE_CORNERS[:, 0], FACE_CORNERS[:, 2] - FACE_CORNERS[:, 1]
    assert np.array_equal(np.cross(*edges), FACE_NORMALS)


@given(st.sets(st.tuples(*[st.integers(0, 3)] * 3), max_size=30))
@settings(deadline=None, max_examples=50)
def test_exposed_faces_are_those_next_to_nothing(cells):
    grid = BlockGrid((4, 4, 4), 1.0, np.array(sorted(cells)).reshape(-1, 3))
    faces = grid.exposed_faces
    found = {(tuple(c), d) for c, d in zip(faces.cell.tolist(), faces.direction.tolist(), strict=True)}
    expected = {
        (cell, d)
        for cell in cells
        for d, normal in enumerate(FACE_NORMALS.tolist())
        if tuple(a + b for a, b in zip(cell, normal, strict=True)) not in cells
    }
    assert found == expected
    assert np.array_equal(grid.positions[faces.block], faces.cell)


@pytest.mark.parametrize(("number", "blocks", "faces"), [(1, 1408, 1802), (2, 88767, 15678), (4, 627, 3260)])
def test_captures_have_the_known_number_of_faces(number, blocks, faces):
    grid = captured(number).grid
    assert (len(grid), len(grid.exposed_faces)) == (blocks, faces)


def test_far_apart_blocks_need_no_table_of_all_cells():
    far = BlockGrid((100_000, 100_000, 100_000), 1.0, [[0, 0, 0], [99_999, 99_999, 99_999], [99_999, 99_999, 99_998]])
    assert len(far.exposed_faces) == 6 + 5 + 5


def test_world_positions_follow_the_editor():
    assert block_to_world((32, 5, 32)) == (0.0, 10.0, 0.0)
    assert lattice_to_world([[0, 0, 0]], (24, 16, 24), 2.0).tolist() == [[-24.0, 0.0, -24.0]]


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([[0, 0, 4]], ["block 0", "outside", "4 × 4 × 4"]),
        ([[0, 0, 0], [-1, 0, 0]], ["block 1", "outside"]),
        ([[1, 1, 1], [0, 0, 0], [1, 1, 1]], ["blocks 0 and 2", "[1, 1, 1]"]),
        ([[0.5, 0, 0]], ["block 0", "whole numbers"]),
        ([[float("nan"), 0, 0]], ["block 0", "whole numbers"]),
        ([[0, 0]], ["(N, 3)"]),
    ],
)
def test_bad_positions_are_named(positions, words):
    with pytest.raises(MapError) as error:
        BlockGrid((4, 4, 4), 2.0, np.array(positions))
    assert all(word in str(error.value) for word in words), str(error.value)
