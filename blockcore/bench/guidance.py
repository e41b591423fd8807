"""The guidance suite: what rendering takes of a step that a diffusion model guides, and whether memory stays flat.

The model has the sizes of Stable Diffusion 1.5 and random weights, which take as long as trained ones do; its text
encoder, which is asked once, is left out. Every time is a median of this run.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import torch

from blockcore.bench.landscape import landscape
from blockcore.guidance.diffusion import LatentDiffusion, Told
from blockcore.guidance.distillation import Annealing, ScoreDistillation
from blockcore.guidance.dreaming import DreamLoop, Pictures
from blockcore.guidance.pipeline_folder import library
from blockcore.guidance.protocol import Guidance
from blockcore.guidance.shots import Shots
from blockcore.guidance.words import Prompt
from blockcore.io.files import Json
from blockcore.machine.device import choose_device
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings

_SIDE = 142  # 20,164 blocks
_TIMED, _LONG = 60, 1000
_TOKENS, _WIDTH = 77, 768


def run(data: Path) -> Json:
    """Measures everything; returns the figures as JSON values. The data is not looked at.

    Raises:
        BackendError: there is no GPU, or the extra is not installed.
    """
    choose_device("cuda")
    torch.manual_seed(0)
    scene = landscape(_SIDE, 0, 64, "cpu")
    settings = OptimizeSettings(device="cuda", steps=_LONG)
    guidance = ScoreDistillation(_StableDiffusion(), Prompt("a landscape"), annealing=Annealing(steps=_LONG))
    rendering, whole = _step(scene, _brightness, settings), _step(scene, guidance, settings)
    early, late = _memory(scene, guidance, settings)
    return {
        "blocks": len(scene.grid),
        "rendering_ms": 1e3 * rendering,
        "step_ms": 1e3 * whole,
        "rendering_share": rendering / whole,
        "memory_at_100": early,
        "memory_at_1000": late,
    }


def lines(figures: Json) -> list[str]:
    """Returns the figures in words."""
    grown = (figures["memory_at_1000"] - figures["memory_at_100"]) / 1e6
    return [
        f"a step of {figures['blocks']} blocks, 512 × 512, a new camera, a UNet of SD 1.5's size: "
        f"{figures['step_ms']:.1f} ms, of which rendering, its gradient and Adam {figures['rendering_ms']:.1f} ms "
        f"({100 * figures['rendering_share']:.1f} %)",
        f"GPU memory: {figures['memory_at_100'] / 1e9:.2f} GB at most in 100 steps, {grown:.1f} MB more in 1,000",
    ]


class _StableDiffusion(LatentDiffusion):
    """Parts of SD 1.5's sizes, told random words."""

    def __init__(self) -> None:
        diffusers = library("diffusers")
        unet = diffusers.UNet2DConditionModel(sample_size=64, cross_attention_dim=_WIDTH)
        vae = diffusers.AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
        parts: list[Any] = [part.eval().requires_grad_(False).to("cuda", torch.float16) for part in (unet, vae)]
        scheduler = diffusers.DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
        super().__init__(parts[0], parts[1], [], scheduler.alphas_cumprod.float())

    def words(self, texts: tuple[str, ...]) -> Told:
        return Told(torch.randn(len(texts), _TOKENS, _WIDTH, device="cuda", dtype=torch.float16), None)


def _brightness(rendered: torch.Tensor, shots: Shots, step: int) -> torch.Tensor:
    return rendered.mean()


def _step(scene: BlockScene, guidance: Guidance, settings: OptimizeSettings) -> float:
    """Returns the seconds of a step, the median of many after some to warm up."""
    loop, times = DreamLoop(scene, guidance, None, settings, Pictures(1, 512)), []
    for _ in range(2 * _TIMED):
        torch.cuda.synchronize()
        began = time.perf_counter()
        loop.take()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[_TIMED:])


def _memory(scene: BlockScene, guidance: Guidance, settings: OptimizeSettings) -> tuple[int, int]:
    """Returns the most GPU memory held at a time in 100 steps, and in 1,000."""
    loop, most = DreamLoop(scene, guidance, None, settings, Pictures(1, 512)), []
    torch.cuda.reset_peak_memory_stats()
    for steps in (100, _LONG):
        while loop.step < steps:
            loop.take()
        most.append(torch.cuda.max_memory_allocated())
    return most[0], most[1]
