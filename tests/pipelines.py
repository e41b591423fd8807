"""Tiny pipelines with random weights, built from their configurations and saved as their libraries save them.

The libraries take seconds to import, and so only where a test asks for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from blockcore.guidance.pipeline_folder import library

LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)] + [",", "-"]


def save_pipeline(folder: Path, large: bool = False, prediction: str = "epsilon") -> Path:
    """Saves a pipeline like Stable Diffusion's, or like SDXL's, for pictures of 32 × 32; returns its folder."""
    torch.manual_seed(7)
    diffusers, transformers = library("diffusers"), library("transformers")
    unet_more = {}
    if large:
        unet_more = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 16,
        }
    diffusers.UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=32 if large else 16,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **unet_more,
    ).save_pretrained(folder / "unet")
    diffusers.AutoencoderKL(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        scaling_factor=0.18215,
    ).save_pretrained(folder / "vae")
    diffusers.DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction
    ).save_pretrained(folder / "scheduler")
    kinds = {"": transformers.CLIPTextModel} | ({"_2": transformers.CLIPTextModelWithProjection} if large else {})
    for number, kind in kinds.items():
        _tokenizer(folder / f"tokenizer{number}")
        kind(_text_config()).save_pretrained(folder / f"text_encoder{number}")
    index = {"_class_name": "StableDiffusionXLPipeline" if large else "StableDiffusionPipeline"}
    index |= {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    index |= {"scheduler": ["diffusers", "PNDMScheduler"]}
    for number, kind in kinds.items():
        index[f"tokenizer{number}"] = ["transformers", "CLIPTokenizer"]
        index[f"text_encoder{number}"] = ["transformers", kind.__name__]
    if large:
        index["force_zeros_for_empty_prompt"] = True
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def save_clip(folder: Path) -> Path:
    """Saves a model that compares pictures of 32 × 32 with words; returns its folder."""
    torch.manual_seed(8)
    transformers = library("transformers")
    text = _text_config().to_dict()
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config=text, vision_config=vision | {"image_size": 32, "patch_size": 8}, projection_dim=16
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    _tokenizer(folder)
    return folder


def _text_config() -> Any:
    size = 2 * len(LETTERS) + 2
    return library("transformers").CLIPTextConfig(
        vocab_size=size,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        projection_dim=16,
        bos_token_id=size - 2,
        eos_token_id=size - 1,
        pad_token_id=size - 1,
    )


def _tokenizer(folder: Path) -> None:
    tokens = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    library("transformers").CLIPTokenizer.from_pretrained(folder, model_max_length=16).save_pretrained(folder)
