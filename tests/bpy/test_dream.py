"""A .blend's blocks get materials that a model guides to, and the file's own rules are kept."""

from __future__ import annotations

import bpy
import numpy as np

from bridge.blender.extract import extract, find_source
from bridge.blender.files import open_file
from bridge.cli import main
from tests.pipelines import save_pipeline


def test_a_dream_goes_back_into_the_file(tmp_path):
    blend, out = tmp_path / "village.blend", tmp_path / "dreamed.blend"
    assert main(["import-map", "tests/data/maps/4/map.json", "--out", str(blend)]) == 0
    before = extract(find_source(None), (), None, need_targets=False, bake=False)
    model = save_pipeline(tmp_path / "model")
    words = ["dream", str(blend), "--prompt", "a hut", "--model", str(model), "--out", str(out)]
    assert main([*words, "--steps", "4", "--size", "32", "--device", "cpu", "--report", str(tmp_path / "report")]) == 0
    found = np.load(tmp_path / "report" / "materials.npy")
    open_file(out)
    after = extract(find_source(None), (), None, need_targets=False, bake=False)
    order = [np.lexsort(scene.grid.positions.T) for scene in (before, after)]
    names = [np.array(scene.palette.names) for scene in (before, after)]
    assert (names[0][found[order[0]]] == names[1][after.materials[order[1]]]).all()
    assert (found != before.materials).any()
    assert not (tmp_path / "dreamed.blend.dream").exists()
    assert bpy.data.filepath == str(out)
