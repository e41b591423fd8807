"""Models on disk, as Diffusers and Transformers keep them: found, looked at and loaded, and never fetched.

Weights are read from .safetensors alone: other files of weights can run code.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from blockcore.errors import BackendError, SettingsError, quoted
from blockcore.io.files import Json, read_json

_ASKED = ("unet", "vae", "text_encoder", "text_encoder_2")
_REMEDY = "give --model a folder that a pipeline was saved in (save_pretrained), with .safetensors weights"
_MISSING = "guidance by a model needs the extra 'guidance'; pip install 'blockcore[guidance]'"


def library(name: str) -> Any:
    """Returns ``diffusers`` or ``transformers``, kept from talking and from the network.

    Raises:
        BackendError: it is not installed.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when it is imported
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise BackendError(f"{_MISSING} ({name} is missing)") from error
    logging.getLogger(name).setLevel(logging.ERROR)
    if name != "huggingface_hub":
        module.utils.logging.disable_progress_bar()
    return module


@dataclass(frozen=True)
class PipelineFolder:
    """A pipeline's folder.

    Attributes:
        path: of the folder.
        index: its ``model_index.json``: the class of each part.
    """

    path: Path
    index: Json

    @staticmethod
    def find(name: str) -> PipelineFolder:
        """Finds a pipeline: a folder, or by its name what a download of the Hugging Face hub left in its cache.

        Raises:
            SettingsError: it is neither, or the folder is no pipeline.
            BackendError: the extra is not installed.
        """
        path = found_folder(name)
        if not (path / "model_index.json").is_file():
            raise SettingsError(f"{name}: is no pipeline (it has no model_index.json); {_REMEDY}")
        index = read_json(path / "model_index.json", SettingsError, _REMEDY)
        parts = [key for key, value in index.items() if isinstance(value, list)] if isinstance(index, dict) else []
        missing = [part for part in ("unet", "vae", "scheduler", "tokenizer", "text_encoder") if part not in parts]
        if missing:
            raise SettingsError(f"{name}: is no text-to-image pipeline with a UNet (it has no {missing[0]}); {_REMEDY}")
        return PipelineFolder(path, index)

    def load(self, part: str, library_name: str, kind: str, dtype: torch.dtype | None = None) -> Any:
        """Loads a part, which has to be of class ``kind``.

        Raises:
            SettingsError: it is missing, damaged or of another class.
            BackendError: the extra is not installed.
        """
        named = self.index.get(part)
        if kind != "DDPMScheduler" and (not isinstance(named, list) or kind not in str(named[-1])):
            raise SettingsError(f"{self.path}: its {part} is a {quoted(named)}, and not a {kind}; {_REMEDY}")
        return load(self.path, kind, library_name, dtype, subfolder=part)

    @property
    def weight(self) -> int:
        """Bytes of the weights that are loaded, as they lie on disk; variants, with a dot in their name, are not."""
        files = (file for part in _ASKED for file in (self.path / part).glob("*.safetensors"))
        return sum(file.stat().st_size for file in files if "." not in file.stem)


def found_folder(name: str) -> Path:
    """Returns a model's folder; see ``PipelineFolder.find``."""
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    hub = library("huggingface_hub")
    try:
        return Path(hub.snapshot_download(name, local_files_only=True))
    except Exception as error:
        raise SettingsError(
            f"{name}: is no folder, nor a model that was downloaded before; nothing is fetched unasked; {_REMEDY}"
        ) from error


def load(folder: Path, kind: str, library_name: str, dtype: torch.dtype | None = None, **where: str) -> Any:
    """Loads an object of class ``kind`` from a folder; models come without gradients, ready to be asked.

    Raises:
        SettingsError: it cannot be loaded.
    """
    maker = getattr(library(library_name), kind)
    is_model = hasattr(maker, "save_pretrained") and issubclass(maker, torch.nn.Module)
    how: Json = {"local_files_only": True} | where
    if is_model:
        how |= {"use_safetensors": True, "low_cpu_mem_usage": False}
        if dtype is not None:
            how["torch_dtype" if library_name == "diffusers" else "dtype"] = dtype
    try:
        with _quietly():
            made = maker.from_pretrained(str(folder), **how)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, json.JSONDecodeError) as error:
        what = where.get("subfolder", kind)
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise SettingsError(f"{folder}: its {what} cannot be loaded ({reason[:120]}); {_REMEDY}") from error
    return made.eval().requires_grad_(False) if is_model else made


def ids_of(tokenizer: Any, texts: Sequence[str]) -> torch.Tensor:
    """Returns the token numbers of texts, (n, L), cut and filled to the length that the model was made for."""
    how = {"padding": "max_length", "max_length": tokenizer.model_max_length, "truncation": True}
    ids: torch.Tensor = tokenizer(list(texts), **how, return_tensors="pt").input_ids
    return ids


@contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
