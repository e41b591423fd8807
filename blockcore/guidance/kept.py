"""What is kept of a dream while it runs, so that it can go on where it was stopped: a folder beside its result."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import BlockcoreError
from blockcore.io.archives import pack_arrays, read_arrays
from blockcore.io.files import write_file
from blockcore.model.scene import BlockScene

STATE = "state.npz"
_REMEDY = "remove it to begin anew, or choose another place for the result"


@dataclass(frozen=True, eq=False)
class LoopState:
    """All that a loop has to know to go on.

    Attributes:
        logits: (N, M) float32.
        mean: (N, M) float32, Adam's mean of gradients.
        square: (N, M) float32, Adam's mean of their squares.
        seen: (N,) bool, which blocks some picture showed.
        losses: (steps,) float64, what the guidance said in each step that was taken.
    """

    logits: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float32]
    square: npt.NDArray[np.float32]
    seen: npt.NDArray[np.bool_]
    losses: npt.NDArray[np.float64]


class Kept:
    """The state of one dream in a file, whole or as it was before.

    Attributes:
        path: the file.
        job: what tells this dream from another; see ``job_of``.
        every: seconds between two times that the state is kept.
    """

    def __init__(self, path: Path, job: str, every: float = 30.0) -> None:
        self.path, self.job, self.every = path, job, every
        self._last = time.monotonic()

    def read(self, shape: tuple[int, int]) -> LoopState | None:
        """Returns what was kept of a loop over logits of this shape, or None where there is nothing.

        Raises:
            BlockcoreError: what is there is of another dream, or damaged.
        """
        if not self.path.exists():
            return None
        names = [part.name for part in fields(LoopState)]
        arrays = read_arrays(self.path, ["job", *names], BlockcoreError, _REMEDY)
        if str(arrays.pop("job", "")) != self.job:
            raise BlockcoreError(f"{self.path}: was left by a dream of other blocks, words or settings; {_REMEDY}")
        shapes = {"logits": shape, "mean": shape, "square": shape, "seen": shape[:1]}
        if set(names) - arrays.keys() or any(arrays[name].shape != wanted for name, wanted in shapes.items()):
            raise BlockcoreError(f"{self.path}: is damaged; {_REMEDY}")
        return LoopState(**arrays)

    def keep(self, state: LoopState) -> None:
        """Keeps a loop's state.

        Raises:
            BlockcoreError: it cannot be written.
        """
        arrays = {part.name: getattr(state, part.name) for part in fields(state)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.path, pack_arrays(arrays | {"job": np.array(self.job)}))
        self._last = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the state was not kept lately."""
        return time.monotonic() - self._last >= self.every

    def remove(self) -> None:
        """Removes what was kept: the dream is over."""
        self.path.unlink(missing_ok=True)


def check_place(folder: Path) -> None:
    """Refuses a folder of somebody's: a dream's pictures would replace what is in it, and go at its end.

    Raises:
        BlockcoreError: it holds files, and no dream's state.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / STATE).is_file():
        raise BlockcoreError(f"{folder}: holds files, and no dream is kept there; choose another place, or remove it")


def job_of(scene: BlockScene, **said: Any) -> str:
    """Returns what tells a dream from another: a hash of its blocks, palette and light, and of what was asked for.

    Args:
        scene: the blocks.
        said: all else that decides what comes of it, as JSON values or what has a ``repr`` that tells values apart.
    """
    digest = hashlib.blake2b(replace(scene, views=()).digest(), digest_size=16)
    digest.update(json.dumps(said, sort_keys=True, default=repr).encode())
    return digest.hexdigest()
