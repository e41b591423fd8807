"""Antialiased targets: pixels that show several blocks at once, seen at several samples a pixel.

A pixel's colour is then the mean of its samples', so that blocks depend on each other where they meet. The pixels of
one block alone still come down to a table of costs; the others are settled block by block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from blockcore.ops.arrays import host, placed
from blockcore.visibility.faces import VisibleFaces

_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class MixedPixels:
    """The P pixels, of all views, whose samples do not all show the same face; and E parts of them.

    Attributes:
        starts: (V + 1,) where the parts of each block begin.
        pixel: (E,) of each part, ascending within a block.
        look: (E,) of the face that the part shows.
        share: (E,) how much of the pixel it is, 0…1.
        rest: (P, 3) what the samples without a block add to the pixel.
        wanted: (P, 3) the target, 0…1.
        gain: (P, 3) of the pixel's view.
        weight: (P,) of the pixel's view.
    """

    starts: npt.NDArray[np.int64]
    pixel: npt.NDArray[np.int64]
    look: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]
    rest: npt.NDArray[np.float64]
    wanted: npt.NDArray[np.float64]
    gain: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]

    def settle(
        self, costs: npt.NDArray[np.float64], radiance: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Lets each block in turn take its best material beside the others, until none changes.

        Args:
            costs: (V, M) of the pixels that are not mixed; infinite where a material may not be.
            radiance: (M, L, 3), what each material shows in each look.
            labels: (V,) to begin from.

        Returns:
            (V,) the labels, of no greater squared error.
        """
        from blockcore.ops.costs_numba import settle

        shown = np.ascontiguousarray(np.clip(radiance, 0.0, 1.0).transpose(1, 2, 0))
        settled, drawn = labels.astype(np.int64), self._drawn(shown, labels)
        for _ in range(_ROUNDS):
            if not settle(
                settled,
                np.ascontiguousarray(costs),
                self.starts,
                self.pixel,
                self.look,
                self.share,
                drawn,
                self.wanted,
                shown,
                self.gain,
                self.weight,
            ):
                break
        return settled

    def error(self, radiance: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
        """Returns the squared error of the mixed pixels under an assignment, (V,)."""
        shown = np.clip(radiance, 0.0, 1.0).transpose(1, 2, 0)
        return float(((self._drawn(shown, labels) - self.wanted) ** 2 * self.weight[:, None]).sum())

    def _drawn(self, shown: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        block = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        color = np.minimum(shown[self.look, :, labels[block]] * self.gain[self.pixel], 1.0) * self.share[:, None]
        drawn = self.rest.copy()
        for channel in range(3):
            drawn[:, channel] += np.bincount(self.pixel, color[:, channel], len(drawn))
        return drawn


def split_mixed(
    visible: VisibleFaces,
    targets: Sequence[npt.NDArray[np.uint8]],
    samples: int,
    weights: Sequence[float],
    gains: npt.NDArray[np.float64],
    background: Sequence[float],
) -> tuple[VisibleFaces, list[npt.NDArray[np.uint8]], MixedPixels]:
    """Parts the pixels that show one face alone from those that show several.

    Args:
        visible: what the views show, ``samples`` times as wide and high as the targets.
        targets: per view (H, W, 3 or 4) uint8.
        samples: per axis of a pixel.
        weights: of the views.
        gains: (views, 3).
        background: RGB where there is no block.

    Returns:
        The views at the size of the targets, with -1 where pixels are mixed; the targets, with 0 as their fourth
        channel there; and the mixed pixels.
    """
    views, kept, parts, pixels = [], [], [], []
    block_of, look_of = host(visible.block), host(visible.look)
    base = 0
    for index, (view, target) in enumerate(zip(visible.views, targets, strict=True)):
        height, width = target.shape[:2]
        cells = host(view).reshape(height, samples, width, samples).transpose(0, 2, 1, 3)
        cells = cells.reshape(height, width, samples * samples)
        counted = np.ones((height, width), np.bool_) if target.shape[2] == 3 else target[..., 3] > 0
        mixed = (cells != cells[..., :1]).any(axis=2) & counted
        views.append(placed(np.where(mixed, -1, cells[..., 0]).astype(np.int32), visible.device))
        alpha = np.where(mixed | ~counted, 0, 255).astype(np.uint8)
        kept.append(np.dstack([target[..., :3], alpha]))
        faces = np.sort(cells[mixed], axis=1)
        fresh = np.ones(faces.shape, np.bool_)
        fresh[:, 1:] = faces[:, 1:] != faces[:, :-1]
        row, _ = np.nonzero(fresh)
        at = np.flatnonzero(fresh.ravel())
        share = np.diff(np.append(at, faces.size)) / samples**2
        parts.append((row + base, faces.ravel()[at], share))
        gain = np.broadcast_to(gains[index], (len(faces), 3))
        sky = np.minimum(np.asarray(background) * gains[index], 1.0)
        rest = ((faces < 0).sum(axis=1) / samples**2)[:, None] * sky
        pixels.append((rest, target[mixed][:, :3] / 255.0, gain, np.full(len(faces), weights[index])))
        base += len(faces)
    pixel, face, share = (np.concatenate(a) for a in zip(*parts, strict=True))
    rest, wanted, gain, weight = (np.concatenate(a).astype(np.float64) for a in zip(*pixels, strict=True))
    pixel, face, share = (a[face >= 0] for a in (pixel, face, share))
    order = np.lexsort((pixel, block_of[face]))
    counts = np.bincount(block_of[face], minlength=len(visible.blocks))
    mixed_pixels = MixedPixels(
        starts=np.concatenate([[0], np.cumsum(counts)]),
        pixel=pixel[order].astype(np.int64),
        look=look_of[face[order]],
        share=share[order],
        rest=rest,
        wanted=wanted,
        gain=gain,
        weight=weight,
    )
    alone = replace(visible, views=tuple(views))
    return alone, kept, mixed_pixels
