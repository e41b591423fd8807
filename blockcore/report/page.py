"""Pages that stand alone: one HTML file with its style, script and pictures inside."""

from __future__ import annotations

import base64
from importlib import resources
from string import Template

import numpy as np
import numpy.typing as npt

from blockcore.io.pictures import encode_png


def fill(template: str, **values: str) -> str:
    """Returns a page.

    Args:
        template: path of an HTML file inside blockcore, with ``$name`` where values go.
        values: HTML by name; ``style`` and ``script`` are added.
    """
    names = ("report/page.css", "report/page.js", template)
    style, script, text = (resources.files("blockcore").joinpath(n).read_text(encoding="utf-8") for n in names)
    return Template(text).substitute(values, style=style, script=script)


def data_uri(picture: npt.NDArray[np.uint8]) -> str:
    """Returns a picture, (H, W, 3 or 4) uint8, as an address that holds it."""
    return png_uri(encode_png(picture))


def png_uri(data: bytes) -> str:
    """Returns an encoded picture as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(data).decode()
