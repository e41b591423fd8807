"""Score distillation: a diffusion model's opinion of a picture, as a gradient.

A picture's latents z get noise ε of a random strength, x = √ᾱ z + √(1 − ᾱ) ε, and the model says what noise ε̂ it sees.
The difference says where the model would have the picture go; it is handed to the picture as its gradient, as it is:
nothing flows through the model that sees the noise.

- SDS (Poole et al. 2022, "DreamFusion: Text-to-3D using 2D Diffusion", equation 3): w(t) (ε̂ − ε), where ε̂ is led by the
  words: ε̂ = ε̂(negative) + s (ε̂(words) − ε̂(negative)) (Ho & Salimans 2022, "Classifier-Free Diffusion Guidance").
- CSD (Yu et al. 2023, "Text-to-3D with Classifier Score Distillation", equation 7): w(t) s (ε̂(words) − ε̂(negative)).

w(t) = 1 − ᾱ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from blockcore.errors import SettingsError, quoted
from blockcore.guidance.protocol import generator_of
from blockcore.guidance.shots import Shots
from blockcore.guidance.words import Prompt

KINDS = ("sds", "csd")
_NOISE = 1  # tells the noise from what else is drawn in a step


class Denoiser(Protocol):
    """A model that sees noise in latents, told in words what is under it."""

    @property
    def alphas(self) -> torch.Tensor:
        """(T,): ᾱ of each time step, falling from nearly 1 to nearly 0."""
        ...

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Returns the latents (B, C, h, w) of pictures (B, 3, H, W) in 0…1. Gradients flow to the pictures."""
        ...

    def words(self, texts: tuple[str, ...]) -> Any:
        """Returns what ``noise`` is told, for each of n texts."""
        ...

    def noise(self, noisy: torch.Tensor, time: torch.Tensor, words: Any, index: torch.Tensor) -> torch.Tensor:
        """Returns the noise ε̂ (n, C, h, w) that it sees.

        Args:
            noisy: (n, C, h, w).
            time: (n,) int64, their time steps.
            words: of ``words``.
            index: (n,) int64, which of those each is told.
        """
        ...


@dataclass(frozen=True)
class Annealing:
    """How strong the noise is: a share of all time steps, drawn from a range that moves as the loop goes on.

    Attributes:
        start: least and most at the first step.
        end: least and most at the last step; less noise leaves the large as it is and works on what is small.
        steps: how many steps the loop takes.
    """

    start: tuple[float, float] = (0.02, 0.98)
    end: tuple[float, float] = (0.02, 0.5)
    steps: int = 1000

    def __post_init__(self) -> None:
        for low, high in (self.start, self.end):
            if not 0.0 <= low <= high <= 1.0:
                raise SettingsError(f"noise {quoted((low, high))} must be two shares from 0 to 1, in order")

    def times(self, step: int, count: int, total: int, generator: torch.Generator) -> torch.Tensor:
        """Draws time steps, (count,) int64 below ``total``."""
        done = min(1.0, step / max(1, self.steps - 1))
        low, high = (a + done * (b - a) for a, b in zip(self.start, self.end, strict=True))
        share = low + (high - low) * torch.rand(count, generator=generator, dtype=torch.float64)
        return (share * total).long().clamp(0, total - 1)


class ScoreDistillation:
    """A ``Guidance`` by a diffusion model.

    Attributes:
        denoiser: the model; it is asked once a step.
        prompt: what is to be seen.
        kind: ``"sds"`` or ``"csd"``.
        scale: how much the words count: s above.
        annealing: how strong the noise is.
        seed: of what is drawn.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        prompt: Prompt,
        kind: str = "sds",
        scale: float = 100.0,
        annealing: Annealing | None = None,
        seed: int = 0,
    ) -> None:
        if kind not in KINDS:
            raise SettingsError(f"distillation {quoted(kind)} is not one of {', '.join(KINDS)}")
        self.denoiser, self.prompt, self.kind, self.scale, self.seed = denoiser, prompt, kind, scale, seed
        self.annealing = annealing or Annealing()
        with torch.no_grad():
            self._words = denoiser.words((*prompt.texts, prompt.negative))

    def __call__(self, rendered: torch.Tensor, shots: Shots, step: int) -> torch.Tensor:
        """Returns the loss; see ``Guidance``.

        Its gradient in the latents is the mean over pictures of that above, and its value half the square of that.
        """
        latents = self.denoiser.encode(rendered)
        handed = self.gradient(latents.detach(), shots, step) / len(latents)
        along = (latents.float() * handed).sum()
        return along - along.detach() + 0.5 * len(latents) * handed.square().sum()

    @torch.no_grad()
    def gradient(self, latents: torch.Tensor, shots: Shots, step: int) -> torch.Tensor:
        """Returns where latents (B, C, h, w) of these shots should not go, (B, C, h, w) float32."""
        denoiser, count = self.denoiser, len(latents)
        drawn = generator_of(self.seed, step, _NOISE)
        time = self.annealing.times(step, count, len(denoiser.alphas), drawn)
        noise = torch.randn(latents.shape, generator=drawn).to(latents)
        alpha = denoiser.alphas[time].to(latents.device, torch.float32).reshape(-1, 1, 1, 1)
        noisy = alpha.sqrt() * latents.float() + (1.0 - alpha).sqrt() * noise.float()
        told = self.prompt.index(shots) + [len(self.prompt.texts)] * count
        index, times = (torch.as_tensor(v, device=latents.device) for v in (told, time.repeat(2)))
        seen = denoiser.noise(noisy.to(latents.dtype).repeat(2, 1, 1, 1), times, self._words, index).float()
        led, plain = seen.chunk(2)
        towards = self.scale * (led - plain)
        return (1.0 - alpha) * (towards if self.kind == "csd" else plain + towards - noise.float())
