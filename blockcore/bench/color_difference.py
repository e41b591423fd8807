"""The colour difference CIEDE2000 (Sharma, Wu and Dalal 2005, "The CIEDE2000 Color-Difference Formula")."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Colors = npt.NDArray[np.float64]
_FAR = 25.0**7


def ciede2000(one: Colors, other: Colors) -> Colors:
    """Returns the differences (...) of CIE L*a*b* colours (..., 3), with all weights 1."""
    (l1, a1, b1), (l2, a2, b2) = (np.moveaxis(np.asarray(c, dtype=np.float64), -1, 0) for c in (one, other))
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2.0
    g = 0.5 * (1.0 - np.sqrt(chroma**7 / (chroma**7 + _FAR)))
    a1, a2 = a1 * (1.0 + g), a2 * (1.0 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360.0 for a, b in ((a1, b1), (a2, b2)))
    grey = c1 * c2 == 0.0
    turn = np.where(grey, 0.0, (h2 - h1 + 180.0) % 360.0 - 180.0)
    # Opposite hues are half a turn apart, forwards; the sum that is halved wraps likewise.
    turn = np.where((turn == -180.0) & (h2 > h1), 180.0, turn)
    mean_l, mean_c, total = (l1 + l2) / 2.0, (c1 + c2) / 2.0, h1 + h2
    wrapped = np.where(total < 360.0, total + 360.0, total - 360.0)
    mean_h = np.where(grey, total, np.where(np.abs(h1 - h2) > 180.0, wrapped, total) / 2.0)
    t = 1.0 - 0.17 * _cos(mean_h - 30.0) + 0.24 * _cos(2.0 * mean_h)
    t += 0.32 * _cos(3.0 * mean_h + 6.0) - 0.20 * _cos(4.0 * mean_h - 63.0)
    s_l = 1.0 + 0.015 * (mean_l - 50.0) ** 2 / np.sqrt(20.0 + (mean_l - 50.0) ** 2)
    s_c, s_h = 1.0 + 0.045 * mean_c, 1.0 + 0.015 * mean_c * t
    spread = 30.0 * np.exp(-(((mean_h - 275.0) / 25.0) ** 2))
    rotation = -2.0 * np.sqrt(mean_c**7 / (mean_c**7 + _FAR)) * np.sin(np.radians(2.0 * spread))
    hue = 2.0 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2.0))
    light, chrome, hue = (l2 - l1) / s_l, (c2 - c1) / s_c, hue / s_h
    return np.asarray(np.sqrt(np.maximum(light**2 + chrome**2 + hue**2 + rotation * chrome * hue, 0.0)))


def _cos(degrees: Colors) -> Colors:
    return np.asarray(np.cos(np.radians(degrees)))
