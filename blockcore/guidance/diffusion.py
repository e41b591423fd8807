"""A latent diffusion model as a ``Denoiser``: Stable Diffusion 1.5 and 2.1, SDXL, and what is built like them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from blockcore.errors import SettingsError, quoted
from blockcore.guidance.pipeline_folder import PipelineFolder, ids_of
from blockcore.machine import memory
from blockcore.machine.device import Device

_PREDICTIONS = ("epsilon", "v_prediction", "sample")
_WORKING = 3 << 30  # bytes that the pictures' way through VAE and UNet takes, at 512², beside the weights


@dataclass(frozen=True, eq=False)
class Told:
    """What a UNet is told of n texts.

    Attributes:
        states: (n, L, D), a row a token.
        pooled: (n, P), each text as a whole, for SDXL; else None.
    """

    states: torch.Tensor
    pooled: torch.Tensor | None


class LatentDiffusion:
    """The parts of a pipeline that score distillation asks.

    Pictures are brought to the size that the model was made for. The VAE's mean is taken, not a draw around it.

    Attributes:
        unet: sees the noise.
        vae: pictures to latents.
        encoders: pairs of tokenizer and text encoder; two for SDXL.
        alphas: (T,) float32: ᾱ of each time step.
        prediction: what the UNet says: ``"epsilon"``, ``"v_prediction"`` or ``"sample"``.
        blank: whether an empty text is told as zeros, as SDXL was trained.
    """

    def __init__(
        self,
        unet: Any,
        vae: Any,
        encoders: list[tuple[Any, Any]],
        alphas: torch.Tensor,
        prediction: str = "epsilon",
        blank: bool = False,
    ) -> None:
        if prediction not in _PREDICTIONS:
            raise SettingsError(
                f"the model predicts {quoted(prediction)}, which is not one of {', '.join(_PREDICTIONS)}"
            )
        self.unet, self.vae, self.encoders, self.alphas = unet, vae, encoders, alphas
        self.prediction, self.blank = prediction, blank
        self.asked = 0

    @staticmethod
    def load(name: str, device: torch.device | str = "cpu") -> LatentDiffusion:
        """Loads a pipeline onto a device: in 16 bits on a GPU, in 32 on the CPU.

        Args:
            name: a folder, or the name of a model that was downloaded before.
            device: where pictures are.

        Raises:
            SettingsError: it is no pipeline that can be asked.
            BackendError: the extra is not installed, or the GPU's memory does not suffice.
        """
        folder, device = PipelineFolder.find(name), torch.device(device)
        dtype = torch.float16 if device.type == "cuda" else torch.float32
        memory.check(Device(device.type, device.index), folder.weight + _WORKING, f"guidance by {name}")
        unet = folder.load("unet", "diffusers", "UNet2DConditionModel", dtype)
        vae = folder.load("vae", "diffusers", "AutoencoderKL", dtype)
        if getattr(vae.config, "force_upcast", False):  # SDXL's overflows 16 bits
            vae = vae.float()
        encoders = [_encoder(folder, "", "CLIPTextModel", dtype)]
        if "text_encoder_2" in folder.index:
            encoders.append(_encoder(folder, "_2", "CLIPTextModelWithProjection", dtype))
        scheduler = folder.load("scheduler", "diffusers", "DDPMScheduler")
        made = LatentDiffusion(
            unet,
            vae,
            encoders,
            scheduler.alphas_cumprod.float(),
            str(scheduler.config.prediction_type),
            bool(folder.index.get("force_zeros_for_empty_prompt", False)),
        )
        with memory.cuda_errors(f"guidance by {name}", "use a smaller model, or --device cpu"):
            return made.to(device)

    def to(self, device: torch.device | str) -> LatentDiffusion:
        """Moves all parts; returns itself."""
        for part in (self.unet, self.vae, *(encoder for _, encoder in self.encoders)):
            part.to(device)
        return self

    @property
    def size(self) -> int:
        """The edge of the pictures that the model was made for, in pixels."""
        return int(self.unet.config.sample_size) * self._step

    @property
    def _step(self) -> int:
        return 1 << (len(self.vae.config.block_out_channels) - 1)

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Returns latents; see ``Denoiser``."""
        size = (self.size, self.size)
        if pictures.shape[-2:] != size:
            pictures = torch.nn.functional.interpolate(pictures, size, mode="bilinear", antialias=True)
        moved = (2.0 * pictures - 1.0).to(self.vae.dtype)
        latents = self.vae.encode(moved).latent_dist.mean - (getattr(self.vae.config, "shift_factor", None) or 0.0)
        scaled: torch.Tensor = (latents * self.vae.config.scaling_factor).to(self.unet.dtype)
        return scaled

    @torch.no_grad()
    def words(self, texts: tuple[str, ...]) -> Told:
        """Returns what the UNet is told of texts."""
        device, several = self.unet.device, len(self.encoders) > 1
        states, pooled = [], None
        for tokenizer, encoder in self.encoders:
            said = encoder(ids_of(tokenizer, texts).to(device), output_hidden_states=several)
            states.append(said.hidden_states[-2] if several else said.last_hidden_state)
            pooled = getattr(said, "text_embeds", None)
        told = torch.cat(states, dim=-1)
        if self.blank:
            kept = torch.tensor([bool(text) for text in texts], device=device, dtype=told.dtype)
            told = told * kept[:, None, None]
            pooled = None if pooled is None else pooled * kept[:, None].to(pooled)
        return Told(told, pooled)

    @torch.no_grad()
    def noise(self, noisy: torch.Tensor, time: torch.Tensor, words: Told, index: torch.Tensor) -> torch.Tensor:
        """Returns the noise that the UNet sees; see ``Denoiser``."""
        self.asked += 1
        besides: dict[str, torch.Tensor] = {}
        if words.pooled is not None:
            frame = torch.tensor([self.size, self.size, 0, 0, self.size, self.size], device=noisy.device)
            besides = {"text_embeds": words.pooled[index], "time_ids": frame.to(noisy.dtype).expand(len(noisy), 6)}
        said: torch.Tensor = self.unet(
            noisy.to(self.unet.dtype),
            time,
            encoder_hidden_states=words.states[index],
            added_cond_kwargs=besides or None,
        ).sample.to(noisy.dtype)
        if self.prediction == "epsilon":
            return said
        alpha: torch.Tensor = self.alphas.to(noisy.device, torch.float32)[time].reshape(-1, 1, 1, 1)
        if self.prediction == "v_prediction":  # Salimans & Ho 2022, "Progressive Distillation", appendix D
            return alpha.sqrt() * said + (1.0 - alpha).sqrt() * noisy
        return (noisy - alpha.sqrt() * said) / (1.0 - alpha).sqrt()


def _encoder(folder: PipelineFolder, number: str, kind: str, dtype: torch.dtype) -> tuple[Any, Any]:
    tokenizer = folder.load(f"tokenizer{number}", "transformers", "CLIPTokenizer")
    return tokenizer, folder.load(f"text_encoder{number}", "transformers", kind, dtype)
