"""What a builder asks of an assignment: which materials where, how many kinds, how many of each, what stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blockcore.errors import SettingsError
from blockcore.model.palette import AIR, Palette
from blockcore.model.rules_text import ALLOWED, EVERYWHERE
from blockcore.model.scene import BlockScene
from blockcore.model.settings import Rules


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
    def of(rules: Rules, scene: BlockScene) -> Constraints:
        """Applies rules to a scene.

        Raises:
            SettingsError: a rule names what is not there, or leaves a block without any material.
        """
        blocks, materials = len(scene.grid), len(scene.palette)
        allowed = _allowed(rules.allowed, scene)
        locked = _locked(rules.locked, scene)
        allowed[locked] = np.eye(materials, dtype=np.bool_)[scene.materials[locked]]
        limits = np.full(materials, blocks, dtype=np.int64)
        for name, most in rules.limits.items():
            limits[_material(scene.palette, name, "limits")] = most
        return Constraints(allowed, limits, rules.max_kinds or materials)

    @property
    def limited(self) -> bool:
        """Whether some material may run out."""
        return bool((self.limits < len(self.allowed)).any())


def seam_factors(seams: Mapping[tuple[str, str], float], palette: Palette) -> npt.NDArray[np.float64]:
    """Returns factors of the cost of seams.

    Args:
        seams: those that are not 1, by pairs of materials.
        palette: the materials.

    Returns:
        (M, M), symmetric, 0 on the diagonal.

    Raises:
        SettingsError: a pair names what is not there.
    """
    factors = 1.0 - np.eye(len(palette))
    for names, factor in seams.items():
        a, b = (_material(palette, name, "seams") for name in names)
        factors[a, b] = factors[b, a] = factor
    return factors


def _allowed(rule: Mapping[str, Sequence[str]], scene: BlockScene) -> npt.NDArray[np.bool_]:
    allowed = np.ones((len(scene.grid), len(scene.palette)), dtype=np.bool_)
    allowed[:, AIR] = False
    for region, names in rule.items():
        chosen = np.zeros(len(scene.palette), dtype=np.bool_)
        for name in names:
            chosen[_material(scene.palette, name, "allowed")] = True
        where = slice(None) if region == EVERYWHERE else _region(scene, region, "allowed")
        allowed[where] &= chosen
    nothing = np.flatnonzero(~allowed.any(axis=1))
    if len(nothing):
        cell = scene.grid.positions[nothing[0]].tolist()
        raise SettingsError(
            f"allowed: {ALLOWED.write(rule)!r} leaves {len(nothing)} blocks, the first at {cell}, "
            "without any material; allow one that fits every region a block is in"
        )
    return allowed


def _locked(names: Sequence[str], scene: BlockScene) -> npt.NDArray[np.int64]:
    regions = [np.zeros(0, dtype=np.int64)]
    for name in names:
        regions.append(np.arange(len(scene.grid)) if name == EVERYWHERE else _region(scene, name, "locked"))
    return np.unique(np.concatenate(regions))


def _material(palette: Palette, name: str, what: str) -> int:
    if name not in palette.names[AIR + 1 :]:
        raise SettingsError(f"{what}: there is no material {name!r}; there are {', '.join(palette.names[AIR + 1 :])}")
    return palette.names.index(name)


def _region(scene: BlockScene, name: str, what: str) -> npt.NDArray[np.int64]:
    if name not in scene.regions:
        there = f"there are {', '.join(scene.regions)}" if scene.regions else "this scene has none"
        raise SettingsError(f"{what}: there is no region {name!r}; {there}")
    return scene.regions[name].astype(np.int64)
