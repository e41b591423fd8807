"""Comparing two renderers' pictures, and keeping what was seen where they differ."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blockcore.formats.webgpu import write_map
from blockcore.io.pictures import encode_png
from blockcore.model.scene import BlockScene

Picture = npt.NDArray[np.uint8]


def differing(ours: Picture, theirs: Picture) -> npt.NDArray[np.bool_]:
    """Returns (H, W): where two pictures differ by more than 1/255 in some channel."""
    return np.abs(ours[..., :3].astype(np.int16) - theirs[..., :3]).max(axis=-1) > 1


@dataclass
class Tally:
    """Counts over many pictures, and where to keep those that differ.

    Attributes:
        folder: where to keep them.
        most: how many pixels of one picture may differ.
    """

    folder: Path
    most: int
    pictures: int = 0
    pixels: int = 0
    covered: int = 0
    off: int = 0

    def add(self, scene: BlockScene, number: int, ours: Picture, theirs: Picture) -> None:
        """Counts view ``number`` of ``scene``; keeps both pictures where they differ, and fails where by too much."""
        wrong = differing(ours, theirs)
        count = int(np.count_nonzero(wrong))
        background = np.rint(255.0 * np.asarray(scene.lighting.background)).astype(np.uint8)
        self.pictures += 1
        self.pixels += wrong.size
        self.covered += int(np.count_nonzero((theirs[..., :3] != background).any(axis=-1)))
        self.off += count
        if count:
            folder = self._keep(scene, number, ours, theirs, wrong)
            assert count <= self.most, f"{count} of {wrong.size} pixels differ; see {folder}"

    @property
    def equal(self) -> float:
        """The share of all pixels that are equal."""
        return 1.0 - self.off / max(1, self.pixels)

    def __str__(self) -> str:
        return (
            f"{self.pictures} pictures, {self.pixels} pixels ({self.covered} on blocks), {self.off} differ: "
            f"{100.0 * self.equal:.5f} % equal"
        )

    def _keep(
        self, scene: BlockScene, number: int, ours: Picture, theirs: Picture, wrong: npt.NDArray[np.bool_]
    ) -> Path:
        """Writes both pictures, their difference, the map and the camera."""
        folder = self.folder / ("too-many" if wrong.sum() > self.most else "few")
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in (
            ("ours", ours),
            ("theirs", theirs),
            ("difference", np.repeat(wrong[..., None], 3, axis=2).astype(np.uint8) * 255),
        ):
            (folder / f"{name}.png").write_bytes(encode_png(picture))
        write_map(folder / "map.json", scene.grid, scene.materials, scene.palette)
        camera = scene.views[number].camera
        (folder / "camera.json").write_text(
            json.dumps(
                {
                    "name": camera.name,
                    "size": [camera.width, camera.height],
                    "view": camera.view.tolist(),
                    "proj": camera.proj.tolist(),
                    "pixels": np.argwhere(wrong)[:50].tolist(),
                }
            )
        )
        return folder
