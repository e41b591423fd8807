"""The loop that follows a guidance: cameras, what it finds, what is kept of it, and the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from blockcore import WEBGPU_PALETTE, BlockGrid, BlockScene, DifferentiableBlockRenderer, OptimizeSettings
from blockcore.commands.cli import main
from blockcore.errors import BlockcoreError, Cancelled, SettingsError
from blockcore.guidance.distillation import Annealing, ScoreDistillation
from blockcore.guidance.dreaming import DreamLoop, Pictures, dream
from blockcore.guidance.kept import Kept, job_of
from blockcore.guidance.shots import CameraSampler
from blockcore.guidance.words import Prompt
from tests.pipelines import save_clip, save_pipeline

FEW = OptimizeSettings(steps=6, learning_rate=0.1)
SMALL = Pictures(count=2, size=24)


def hut() -> BlockScene:
    """A hollow hut of six kinds of blocks on a lawn."""
    size = 9
    x, y, z = np.indices((size, size, size)).reshape(3, -1)
    wall = (y < 5) & ((x % 6 == 1) | (z % 6 == 1)) & (x >= 1) & (x <= 7) & (z >= 1) & (z <= 7)
    roof = (y >= 5) & (np.abs(x - 4) == 8 - y) & (z >= 1) & (z <= 7)
    gable = (y >= 5) & (np.abs(x - 4) < 8 - y) & (z % 6 == 1)
    cells = np.stack([x, y, z], axis=1)[(y == 0) | wall | roof | gable]
    materials = 1 + (cells[:, 0] + 2 * cells[:, 1] + 3 * cells[:, 2] // 2) % 6
    return BlockScene(BlockGrid((size, size, size), 2.0, cells), materials.astype(np.int32), WEBGPU_PALETTE, ())


class Pulling:
    """A denoiser of pictures themselves that sees as noise what keeps them from being those of given blocks."""

    def __init__(self, scene: BlockScene, size: int) -> None:
        self.alphas = torch.linspace(0.999, 0.005, 1000)
        self.scene, self.size, self.asked = scene, size, 0
        grid = scene.grid
        self.renderer = DifferentiableBlockRenderer(grid.size, grid.world_scale, remembered_views=0)
        self.logits = 100.0 * torch.nn.functional.one_hot(torch.tensor(scene.materials).long(), len(scene.palette))

    def encode(self, pictures):
        return pictures

    def words(self, texts):
        return texts

    def noise(self, noisy, time, words, index):
        self.asked += 1
        alpha = self.alphas[time].reshape(-1, 1, 1, 1)
        return (noisy - alpha.sqrt() * self.wanted.repeat(2, 1, 1, 1)) / (1.0 - alpha).sqrt()

    def guidance(self, steps: int):
        distillation = ScoreDistillation(self, Prompt("what is given"), "sds", 1.0, Annealing(steps=steps))

        def looking(rendered, shots, step):
            self.renderer.lighting = shots.lighting or self.scene.lighting
            cells, behind = self.scene.grid.positions, torch.from_numpy(shots.background).float()
            cameras = torch.from_numpy(shots.view), torch.from_numpy(shots.proj)
            with torch.no_grad():
                seen = self.renderer.render(cells, self.logits, *cameras, self.size, self.size, background=behind)
            self.wanted = seen[:, :3]
            return distillation(rendered, shots, step)

        return looking


@pytest.mark.parametrize("light", ["scene", "random"])
def test_what_a_denoiser_pulls_towards_is_found(light):
    scene, steps = hut(), 200
    pulling = Pulling(scene, 64)
    sampler = CameraSampler.around(scene.grid, elevation=(-50.0, 70.0), light=light)
    settings = OptimizeSettings(steps=steps, learning_rate=0.3)
    found = dream(scene, pulling.guidance(steps), sampler, settings, Pictures(2, 64))
    seen = found.visible_blocks
    assert len(seen) > 0.7 * len(scene.grid)
    assert (found.materials[seen] == scene.materials[seen]).mean() >= 0.99
    assert pulling.asked == steps


def likes_red(rendered, shots, step):
    return 1.0 - rendered[:, 0].mean() + rendered[:, 1:].mean()


def test_a_dream_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    scene, settings = hut(), replace(FEW, steps=12, relaxation="gumbel")
    whole = dream(scene, likes_red, None, settings, SMALL)
    kept = Kept(tmp_path / "state.npz", job_of(scene, settings=settings.to_dict()))
    calls = iter(range(100))
    with pytest.raises(Cancelled):
        dream(scene, likes_red, None, settings, SMALL, cancelled=lambda: next(calls) == 7, kept=kept)
    steps = []
    gone_on = dream(scene, likes_red, None, settings, SMALL, progress=lambda p: steps.append(p.step), kept=kept)
    assert steps == [10, 12]
    assert gone_on.logits.tobytes() == whole.logits.tobytes()
    assert gone_on.losses == whole.losses
    assert (gone_on.materials == whole.materials).all()
    assert (gone_on.visible_blocks == whole.visible_blocks).all()


def test_what_another_dream_left_is_refused(tmp_path):
    scene, path = hut(), tmp_path / "state.npz"
    loop = DreamLoop(scene, likes_red, None, FEW, SMALL)
    loop.take()
    Kept(path, job_of(scene, words="a hut")).keep(loop.state())
    with pytest.raises(BlockcoreError, match="other blocks, words or settings"):
        dream(scene, likes_red, None, FEW, SMALL, kept=Kept(path, job_of(scene, words="a tower")))
    other = replace(scene, materials=np.roll(scene.materials, 1))
    assert job_of(other, words="a hut") != job_of(scene, words="a hut")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BlockcoreError, match="cannot be read"):
        dream(scene, likes_red, None, FEW, SMALL, kept=Kept(path, job_of(scene, words="a hut")))


def test_what_a_builder_asks_is_kept():
    names, scene = WEBGPU_PALETTE.names, hut()
    floor = np.flatnonzero(scene.grid.positions[:, 1] == 0)
    scene = replace(scene, regions={"lawn": floor})
    rules = {"allowed": f"{names[1]}, {names[2]}, {names[3]}", "locked": "lawn", "limits": f"{names[1]} = 20"}
    found = dream(scene, likes_red, None, replace(FEW, **rules), SMALL)
    assert (found.materials[floor] == scene.materials[floor]).all()
    others = np.setdiff1d(found.visible_blocks, floor)
    assert set(found.materials[others]) <= {1, 2, 3}
    assert (found.materials == 1).sum() <= 20 + (scene.materials[floor] == 1).sum()


def test_memory_stays_flat():
    import resource

    scene = hut()
    loop = DreamLoop(scene, likes_red, None, replace(FEW, steps=1000), Pictures(1, 64))
    for _ in range(100):
        loop.take()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(300):
        loop.take()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000  # kilobytes; pictures alone are 15,000


def test_cameras_are_drawn_by_the_number_of_the_step():
    grid = hut().grid
    sampler = CameraSampler.around(grid, elevation=(-20.0, 40.0), azimuth=(90.0, 180.0), fov=(20.0, 60.0), seed=3)
    first, again, next_one = sampler.shots(4, 50), sampler.shots(4, 50), sampler.shots(5, 50)
    assert (first.view == again.view).all() and (first.background == again.background).all()
    assert not (first.view == next_one.view).all(axis=(1, 2)).any()
    assert ((first.azimuth >= 90.0) & (first.azimuth <= 180.0)).all()
    eyes = np.linalg.inv(first.view)[:, :3, 3]
    assert np.hypot(*(eyes - sampler.center)[:, [0, 2]].T).min() > 0.5 * sampler.radius
    # azimuth 90 stands east, 180 north: +X and -Z
    assert (eyes[:, 0] > sampler.center[0] - sampler.radius).all() and (eyes[:, 2] < sampler.radius).all()
    middle = np.append(sampler.center, 1.0)
    clip = np.einsum("bij,bjk,k->bi", first.proj, first.view, middle)
    assert (np.abs(clip[:, :2] / clip[:, 3:]) < 0.2).all()  # in the picture's middle, but for the jitter
    assert ((clip[:, 2] > 0.0) & (clip[:, 2] < clip[:, 3])).all()


def test_a_turntable_shows_all_blocks_from_all_around():
    grid = hut().grid
    shots = CameraSampler.around(grid).turntable(8)
    corners = np.concatenate(
        [grid.exposed_faces.corners().reshape(-1, 3), np.ones((6 * 0 + 4 * len(grid.exposed_faces), 1))], axis=1
    )
    clip = np.einsum("bij,bjk,nk->bni", shots.proj, shots.view, corners)
    assert (np.abs(clip[..., :2]) <= clip[..., 3:]).all()
    assert np.allclose(np.diff(shots.azimuth), 45.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"elevation": (10.0, 95.0)}, "elevation"),
        ({"fov": (50.0, 30.0)}, "fov"),
        ({"distance": (float("nan"), 1.0)}, "distance"),
        ({"jitter": 2.0}, "jitter"),
        ({"light": "blue"}, "light"),
    ],
)
def test_cameras_that_cannot_be_meant_are_refused(given, said):
    with pytest.raises(SettingsError, match=said):
        CameraSampler.around(hut().grid, **given)


def test_a_guidance_that_says_nonsense_is_refused():
    with pytest.raises(SettingsError, match="not finite in step 1"):
        dream(hut(), lambda rendered, shots, step: rendered.mean() / 0.0, None, FEW, SMALL)
    with pytest.raises(SettingsError, match="needs pictures"):
        dream(hut(), likes_red, None, replace(FEW, init="solve"), SMALL)


def command(folder, model, *more):
    hut().write(folder / "scene")
    words = ["dream", "--scene", folder / "scene", "--prompt", "a hut", "--model", model, "--out", folder / "out"]
    few = ["--steps", "12", "--size", "32", "--pictures", "2", "--device", "cpu", "--progress", "none"]
    return [str(word) for word in [*words, *few, *more]]


def test_the_command_writes_a_result(tmp_path, capsys):
    words = command(tmp_path, save_pipeline(tmp_path / "model"), "--negative", "fog", "--limits", "Stone = 5")
    assert main([*words, "--export", str(tmp_path / "hut.schem")]) == 0
    assert "blocks were seen in 12 steps" in capsys.readouterr().out
    out = tmp_path / "out"
    summary = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert summary["method"] == "guidance" and summary["steps"] == 12
    assert summary["materials"].get("Stone", 0) <= 5
    assert sorted(path.name for path in (out / "turntable").iterdir()) == [f"{i:03d}.png" for i in range(24)]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("at step ") == 8 and "a hut" in page
    assert (tmp_path / "hut.schem").is_file() and (out / "viewer.html").is_file()
    assert not (tmp_path / "out.dream").exists()
    assert len(np.load(out / "materials.npy")) == len(hut().grid)


def test_events_have_standard_output_for_themselves_and_what_the_palette_changed_is_said_aside(tmp_path, capsys):
    (tmp_path / "p.json").write_text(json.dumps({"Red": "#c04030", "Blue": "#3040c0"}))
    words = command(tmp_path, save_pipeline(tmp_path / "model"), "--palette", tmp_path / "p.json")
    assert main([*words, "--progress", "jsonl", "--export", str(tmp_path / "hut.schem")]) == 0
    said = capsys.readouterr()
    assert "Palette: " in said.err and "Saved: " in said.err
    assert [json.loads(line) for line in said.out.splitlines()]


def test_the_command_is_killed_and_goes_on(tmp_path):
    model = save_pipeline(tmp_path / "model")
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    assert main(command(tmp_path / "a", model, "--steps", "24")) == 0
    words = command(tmp_path / "b", model, "--steps", "24")
    killed = subprocess.Popen([sys.executable, "-m", "blockcore", *words, "--keep-every", "0"])
    state, late = tmp_path / "b" / "out.dream" / "state.npz", time.monotonic() + 120
    while not state.exists() and time.monotonic() < late and killed.poll() is None:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL and state.exists()
    assert not (tmp_path / "b" / "out").exists()
    assert main(words) == 0
    for name in ("materials.npy", "visible_blocks.npy", "map.json", "turntable/003.png"):
        assert (tmp_path / "a" / "out" / name).read_bytes() == (tmp_path / "b" / "out" / name).read_bytes()
    assert not state.parent.exists()


def test_the_command_by_similarity(tmp_path):
    words = command(tmp_path, save_clip(tmp_path / "clip"), "--guidance", "clip")
    assert main(words) == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--prompt", " "], "prompt is empty"),
        (["--size", "0"], "size 0"),
        (["--noise", "0.9", "0.1"], "noise"),
        (["--elevation", "0", "90"], "elevation"),
        (["--steps", "0"], "steps 0"),
        (["--locked", "garden"], "garden"),
    ],
)
def test_what_the_command_cannot_do_is_one_line(tmp_path, capsys, more, said):
    words = command(tmp_path, save_pipeline(tmp_path / "model"), *more)
    assert main(words) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_one_line(tmp_path, capsys, monkeypatch):
    words = command(tmp_path, save_pipeline(tmp_path / "model"))
    monkeypatch.setitem(sys.modules, "diffusers", None)
    assert main(words) == 2
    assert "pip install 'blockcore[guidance]'" in capsys.readouterr().err
