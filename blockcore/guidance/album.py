"""Pictures of a dream on its way: what its steps rendered, now and then, beside what is kept of it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import torch

from blockcore.guidance.protocol import Guidance
from blockcore.guidance.shots import Shots
from blockcore.io.files import read_bytes, write_file
from blockcore.io.pictures import encode_png

LATEST = "latest.png"
_MARKS = 8  # pictures that stay
_OFTEN = 10.0  # seconds between two of the latest
_LARGEST = 1 << 26


class Album:
    """Looks over a guidance's shoulder.

    Attributes:
        folder: where the PNGs are: ``latest.png``, and ``step_NNNNNN.png`` for those that stay.
        steps: how many steps the dream takes.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        self.folder, self.steps = folder, steps
        self._marks = {round(i * (steps - 1) / max(1, _MARKS - 1)) for i in range(_MARKS)}
        self._last = 0.0

    def over(self, guidance: Guidance) -> Guidance:
        """Returns the same guidance, whose pictures are kept now and then."""

        def watched(rendered: torch.Tensor, shots: Shots, step: int) -> torch.Tensor:
            self._see(rendered, step)
            return guidance(rendered, shots, step)

        return watched

    def pictures(self) -> dict[int, bytes]:
        """Returns the PNGs that stay, by the number of their step, from 1."""
        there = {step + 1: self._path(step) for step in sorted(self._marks)}
        return {step: read_bytes(path, _LARGEST) for step, path in there.items() if path.is_file()}

    def remove(self) -> None:
        """Removes the pictures, and the folder if nothing else is in it."""
        for path in (self.folder / LATEST, *(self._path(step) for step in self._marks)):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _path(self, step: int) -> Path:
        return self.folder / f"step_{step + 1:06d}.png"

    def _see(self, rendered: torch.Tensor, step: int) -> None:
        stays, now = step in self._marks, time.monotonic()
        if not stays and now - self._last < _OFTEN:
            return
        self._last = now
        shades = (255.0 * rendered[0].detach().float().clamp(0.0, 1.0)).round().byte()
        data = encode_png(shades.permute(1, 2, 0).contiguous().cpu().numpy())
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self.folder / LATEST, *([self._path(step)] if stays else [])):
            write_file(path, data)
