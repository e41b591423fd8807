"""What a set of views shows: its faces and blocks numbered densely, so that every step works on those alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from blockcore.model.baked_light import BakedLight, Light
from blockcore.model.camera import Camera
from blockcore.model.grid import ExposedFaces
from blockcore.model.palette import Palette
from blockcore.ops.arrays import Array, device_of, namespace, placed
from blockcore.visibility.parts import PartsSeen, merged, most_looks
from blockcore.visibility.texels import WHOLE_FACES, TileCuts, triangle_array

if TYPE_CHECKING:
    from blockcore.visibility.buffer import Visibility

_MOST_PIXELS = 1 << 22  # numbered at once


@dataclass(frozen=True, eq=False)
class VisibleFaces:
    """The F faces and V blocks that at least one pixel of some view shows: numpy arrays, or tensors on one device.

    Where the palette has tiles, a face is here each of the parts into which they cut it; see ``texels``. So it is where
    light is baked with several texels a face.

    Attributes:
        blocks: (V,) int64, ascending: which of the grid's blocks they are.
        block: (F,) int64, ascending: the block of each face, as an index into ``blocks``.
        look: (F,) int64: the look of each face, as an index into ``looks``.
        looks: (L, 3) int64: face direction, and column and row of the part; ``texels.WHOLE_FACES`` without tiles.
        received: (L, 3) float64, what each look receives of a baked light; None where light is not baked.
        views: per view (H, W) int32: the face each pixel shows, in 0…F-1, or -1. They may be on the CPU where the
            GPU's memory is too small for all of them.
    """

    blocks: Array
    block: Array
    look: Array
    looks: npt.NDArray[np.int64]
    views: tuple[Array, ...]
    received: npt.NDArray[np.float64] | None = None

    @property
    def device(self) -> Any:
        """Where tensors live; None for numpy arrays."""
        return device_of(self.blocks)

    @cached_property
    def starts(self) -> Array:
        """(V + 1,) int32: where the faces of each block begin, and where the last one's end."""
        numbers = placed(np.arange(len(self.blocks) + 1), self.device)
        xp = namespace(numbers)
        return xp.asarray(xp.searchsorted(self.block, numbers), dtype=xp.int32)

    def faces_of(self, blocks: slice) -> slice:
        """Returns which faces those of consecutive blocks are."""
        return slice(int(self.starts[blocks.start]), int(self.starts[blocks.stop]))

    def part(self, blocks: slice) -> VisibleFaces:
        """Returns consecutive blocks and their faces alone, numbered from 0; without views, which number all."""
        faces = self.faces_of(blocks)
        own = {"blocks": self.blocks[blocks], "block": self.block[faces] - blocks.start, "look": self.look[faces]}
        return replace(self, views=(), **own)


def visible_faces(
    exposed: ExposedFaces,
    cameras: Sequence[Camera],
    visibilities: Sequence[Visibility],
    palette: Palette,
    device: Any,
    keep: Any = None,
    lighting: Light | None = None,
) -> VisibleFaces:
    """Numbers the faces and blocks that the views show.

    Args:
        exposed: the grid's exposed faces.
        cameras: the views.
        visibilities: what each view shows.
        palette: whose tiles cut the faces.
        device: where the result shall live.
        keep: where its views shall, if not there, too.
        lighting: the light; a baked one cuts the faces, too.

    Returns:
        The visible faces; views in the order given.
    """
    baked = lighting if isinstance(lighting, BakedLight) else None
    if palette.tiles or baked is not None:
        return _visible_parts(exposed, cameras, visibilities, palette, baked, device, keep or device)
    seen = placed(np.zeros(len(exposed) + 1, np.bool_), device)
    for ids in _batches(visibilities, device):
        seen[(ids + 1) // 2] = True
    seen[0] = False
    xp = namespace(seen)
    number = xp.cumsum(seen, 0, dtype=xp.int32) - 1
    number[0] = -1
    shown = xp.where(seen[1:])[0]
    block, direction = (t[shown] for t in face_indices(exposed, device))
    blocks, block = _in_runs(block)
    views = [number[(ids + 1) // 2] for ids in _batches(visibilities, device)]
    kept = views if device is None else [batch.to(keep or device) for batch in views]
    return VisibleFaces(blocks, block, direction, WHOLE_FACES, tuple(view for batch in kept for view in batch))


def _in_runs(block: Array) -> tuple[Array, Array]:
    """Returns the different ones of ascending numbers, and which of those each is."""
    if device_of(block) is not None:
        found: tuple[Array, Array] = namespace(block).unique_consecutive(block, return_inverse=True)
        return found
    first = np.diff(block, prepend=-1) != 0
    return block[first], np.cumsum(first) - 1


def every_face(exposed: ExposedFaces, blocks: int, device: Any) -> VisibleFaces:
    """Takes all exposed faces of all blocks for visible, without any view: to count those seen makes a GPU's host wait.

    Args:
        exposed: the grid's exposed faces, cut by no tiles.
        blocks: how many the grid has.
        device: where the result shall live.
    """
    block, direction = face_indices(exposed, device)
    return VisibleFaces(placed(np.arange(blocks), device), block, direction, WHOLE_FACES, ())


def _batches(visibilities: Sequence[Visibility], device: Any) -> Iterator[Array]:
    """Yields triangle ids (B, H, W) of views in order: several of one size at once on a GPU, which saves launches."""
    if device is None:
        yield from (triangle_array(visibility)[None] for visibility in visibilities)
        return
    batch: list[Array] = []
    for visibility in visibilities:
        ids = visibility.triangle_id
        ids = placed(ids, device) if isinstance(ids, np.ndarray) else ids.to(device)
        together = (len(batch) + 1) * ids.numel() <= _MOST_PIXELS
        if batch and not (together and batch[0].shape == ids.shape):
            yield namespace(ids).stack(batch)
            batch = []
        batch.append(ids)
        if device.type != "cuda":
            yield ids[None]
            batch = []
    if batch:
        yield namespace(batch[0]).stack(batch)


def unshared_faces(
    exposed: ExposedFaces,
    cameras: Sequence[Camera],
    visibilities: Sequence[Visibility],
    palette: Palette,
    side: int,
    device: Any,
) -> tuple[VisibleFaces, Array]:
    """Numbers what views show in light of side × side texels a face, without letting parts share a look.

    Args:
        exposed: the grid's exposed faces.
        cameras: the views.
        visibilities: what each view shows.
        palette: whose tiles cut the faces, too.
        side: texels of the light along each edge of a face.
        device: where the result shall live.

    Returns:
        The visible faces, each of which has a look of its own; and (L,) int64, the texel of the light that each look
        receives, as an index into all faces' texels, face by face and row by row.
    """
    found = PartsSeen.of(exposed, cameras, visibilities, TileCuts.of(palette), side)
    each = np.arange(len(found.face))
    texel = placed(found.face * side**2 + found.texel, device)
    return _of_parts(found, exposed, found.surface, each, None, device, device), texel


def _visible_parts(
    exposed: ExposedFaces,
    cameras: Sequence[Camera],
    visibilities: Sequence[Visibility],
    palette: Palette,
    baked: BakedLight | None,
    device: Any,
    keep: Any,
) -> VisibleFaces:
    """Numbers parts of faces, and their looks: the different surfaces, or those in the different lights there."""
    cuts, side = TileCuts.of(palette), 1 if baked is None else baked.side
    found = PartsSeen.of(exposed, cameras, visibilities, cuts, side)
    present = np.zeros(6 * cuts.most[0] * cuts.most[1], np.bool_)
    present[found.surface] = True
    surfaces, group = np.flatnonzero(present), (np.cumsum(present) - 1)[found.surface]
    if baked is None:
        return _of_parts(found, exposed, surfaces, group, None, device, keep)
    lights = baked.received.reshape(-1, side**2, 3)[found.face, found.texel].astype(np.float64)
    received, groups, look = merged(lights, group, most_looks(len(surfaces), len(palette)))
    return _of_parts(found, exposed, surfaces[groups], look, received, device, keep)


def _of_parts(
    found: PartsSeen,
    exposed: ExposedFaces,
    surfaces: npt.NDArray[np.int64],
    look: npt.NDArray[np.int64],
    received: npt.NDArray[np.float64] | None,
    device: Any,
    keep: Any,
) -> VisibleFaces:
    """Takes parts for faces: part p has the look ``look[p]``, whose surface is ``surfaces[look[p]]``."""
    rows, columns = found.most
    blocks, block = _in_runs(exposed.block[found.face].astype(np.int64))
    return VisibleFaces(
        blocks=placed(blocks, device),
        block=placed(block, device),
        look=placed(look, device),
        looks=np.stack([surfaces // (rows * columns), surfaces % columns, surfaces // columns % rows], axis=1),
        views=tuple(placed(view, keep) for view in found.views),
        received=received,
    )


def face_indices(faces: ExposedFaces, device: Any) -> tuple[Array, Array]:
    """Returns the block and direction of each face, (F,) int64 each: tensors, or numpy arrays for no device."""
    block, direction = (placed(a.astype(np.int64), device) for a in (faces.block, faces.direction))
    return block, direction
