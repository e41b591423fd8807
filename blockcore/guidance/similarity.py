"""How well pictures and words go together, as a model says that was trained on both (CLIP, Radford et al. 2021)."""

from __future__ import annotations

from typing import Any

import torch

from blockcore.guidance.pipeline_folder import found_folder, ids_of, load
from blockcore.guidance.shots import Shots
from blockcore.guidance.words import Prompt

_MEAN, _SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the pictures that CLIP was trained on."""


class TextSimilarity:
    """A ``Guidance``: how far pictures are from the prompt, less how far from the negative one, by cosines.

    Attributes:
        model: gives features of pictures and of texts.
        prompt: what is to be seen.
    """

    def __init__(self, model: Any, tokenizer: Any, prompt: Prompt) -> None:
        self.model, self.prompt = model, prompt
        with torch.no_grad():
            said = model.get_text_features(ids_of(tokenizer, (*prompt.texts, prompt.negative)).to(model.device))
            self._words = _unit(said)

    @staticmethod
    def load(name: str, prompt: Prompt, device: torch.device | str = "cpu") -> TextSimilarity:
        """Loads a model's folder, or one that was downloaded before.

        Raises:
            SettingsError: there is none.
            BackendError: the extra is not installed.
        """
        folder = found_folder(name)
        model = load(folder, "CLIPModel", "transformers", torch.float32).to(device)
        return TextSimilarity(model, load(folder, "CLIPTokenizer", "transformers"), prompt)

    def __call__(self, rendered: torch.Tensor, shots: Shots, step: int) -> torch.Tensor:
        """Returns the loss, a mean over pictures; see ``Guidance``."""
        side = self.model.config.vision_config.image_size
        pictures = torch.nn.functional.interpolate(rendered, (side, side), mode="bicubic", antialias=True)
        mean, spread = (torch.tensor(v, device=rendered.device).reshape(3, 1, 1) for v in (_MEAN, _SPREAD))
        seen = _unit(self.model.get_image_features((pictures.float() - mean) / spread))
        loss = 1.0 - (seen * self._words[self.prompt.index(shots)]).sum(dim=1)
        if self.prompt.negative:
            loss = loss + (seen * self._words[-1]).sum(dim=1)
        return loss.mean()


def _unit(said: Any) -> torch.Tensor:
    features = said if isinstance(said, torch.Tensor) else said.pooler_output
    return torch.nn.functional.normalize(features.float(), dim=-1)
