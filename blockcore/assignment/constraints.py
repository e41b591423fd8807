"""What a builder asks of an assignment: which materials where, how many kinds, how many of each, what stays.

Written as text, so that panel, command line and batch file say it alike::

    allowed   "Stone, Plank; roof: Snow"       everywhere these; in the region roof only that
    limits    "Stone = 100, Plank = 20"        at most so many blocks, unseen ones included
    locked    "floor, wall"                    regions whose blocks keep their material; "all" locks every block
    seams     "Grass/Dirt = 0.2, Sand/Water = 2"   factors of the cost of a seam between two materials; else 1
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blockcore.errors import SettingsError
from blockcore.model.palette import AIR, Palette
from blockcore.model.scene import BlockScene
from blockcore.model.settings import OptimizeSettings

EVERYWHERE = "all"


@dataclass(frozen=True, eq=False)
class Constraints:
    """What may be assigned.

    Attributes:
        allowed: (N, M) bool: the materials that each block may have; never Air, at least one.
        limits: (M,) int64: the most blocks of each material; N where there is no limit.
        max_kinds: the most different materials; M where there is no limit.
    """

    allowed: npt.NDArray[np.bool_]
    limits: npt.NDArray[np.int64]
    max_kinds: int

    @staticmethod
    def of(settings: OptimizeSettings, scene: BlockScene) -> Constraints:
        """Reads the constraints of settings for a scene.

        Raises:
            SettingsError: a text is malformed, names what is not there, or leaves a block without any material.
        """
        blocks, materials = len(scene.grid), len(scene.palette)
        allowed = _allowed(settings.allowed, scene)
        locked = _locked(settings.locked, scene)
        allowed[locked] = np.eye(materials, dtype=np.bool_)[scene.materials[locked]]
        limits = np.full(materials, blocks, dtype=np.int64)
        for name, value in _assignments(settings.limits, "limits"):
            limits[_material(scene.palette, name, "limits")] = _count(value, name)
        return Constraints(allowed, limits, settings.max_kinds or materials)

    @property
    def limited(self) -> bool:
        """Whether some material may run out."""
        return bool((self.limits < len(self.allowed)).any())


def seam_factors(text: str, palette: Palette) -> npt.NDArray[np.float64]:
    """Reads factors of the cost of seams.

    Args:
        text: as above.
        palette: the materials.

    Returns:
        (M, M), symmetric, 0 on the diagonal.

    Raises:
        SettingsError: the text is malformed or names what is not there.
    """
    factors = 1.0 - np.eye(len(palette))
    for pair, value in _assignments(text, "seams"):
        names = [name.strip() for name in pair.split("/")]
        if len(names) != 2:
            raise SettingsError(f"seams: {pair!r} is not two materials; write for example Grass/Dirt = 0.5")
        a, b = (_material(palette, name, "seams") for name in names)
        try:
            factor = float(value)
        except ValueError:
            factor = -1.0
        if not 0.0 <= factor < np.inf or a == b:
            raise SettingsError(f"seams: {pair} = {value} must be a number of at least 0, for two different materials")
        factors[a, b] = factors[b, a] = factor
    return factors


def _allowed(text: str, scene: BlockScene) -> npt.NDArray[np.bool_]:
    allowed = np.ones((len(scene.grid), len(scene.palette)), dtype=np.bool_)
    allowed[:, AIR] = False
    for part in filter(None, (part.strip() for part in text.split(";"))):
        region, colon, names = part.rpartition(":")
        chosen = np.zeros(len(scene.palette), dtype=np.bool_)
        for name in _names(names):
            chosen[_material(scene.palette, name, "allowed")] = True
        where = _region(scene, region.strip(), "allowed") if colon else slice(None)
        if not chosen.any():
            raise SettingsError(f"allowed: {part!r} allows no material; name at least one")
        allowed[where] &= chosen
    nothing = np.flatnonzero(~allowed.any(axis=1))
    if len(nothing):
        cell = scene.grid.positions[nothing[0]].tolist()
        raise SettingsError(
            f"allowed: {text!r} leaves {len(nothing)} blocks, the first at {cell}, without any material; "
            "allow one that fits every region a block is in"
        )
    return allowed


def _locked(text: str, scene: BlockScene) -> npt.NDArray[np.int64]:
    regions = [np.zeros(0, dtype=np.int64)]
    for name in _names(text):
        regions.append(np.arange(len(scene.grid)) if name == EVERYWHERE else _region(scene, name, "locked"))
    return np.unique(np.concatenate(regions))


def _names(text: str) -> Iterator[str]:
    return filter(None, (name.strip() for name in text.split(",")))


def _assignments(text: str, what: str) -> Iterator[tuple[str, str]]:
    for part in _names(text):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise SettingsError(f"{what}: {part!r} is not of the form NAME = NUMBER")
        yield name, value


def _count(value: str, name: str) -> int:
    if not value.isdecimal():
        raise SettingsError(f"limits: {name} = {value} must be a whole number of at least 0")
    return int(value)


def _material(palette: Palette, name: str, what: str) -> int:
    if name not in palette.names[AIR + 1 :]:
        raise SettingsError(f"{what}: there is no material {name!r}; there are {', '.join(palette.names[AIR + 1 :])}")
    return palette.names.index(name)


def _region(scene: BlockScene, name: str, what: str) -> npt.NDArray[np.int64]:
    if name not in scene.regions:
        there = f"there are {', '.join(scene.regions)}" if scene.regions else "this scene has none"
        raise SettingsError(f"{what}: there is no region {name!r}; {there}")
    return scene.regions[name].astype(np.int64)
