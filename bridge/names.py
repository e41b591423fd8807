# SPDX-License-Identifier: GPL-3.0-or-later
"""Names as people and systems write them: composed or not, in capitals or not, with slashes, with a frame's number."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from blockcore.errors import DatasetError

_FRAME = re.compile(r"_?(\d{4,})")
_PARTS = re.compile(r"(\D*)(\d*)")
_NO_FILE_NAME = re.compile(r'[\\/:*?"<>|\x00-\x1f]')


def composed(name: str) -> str:
    """Returns a name in the form in which equal ones are equal: macOS writes an "ü" as two characters."""
    return unicodedata.normalize("NFC", name)


def counted(path: Path) -> list[tuple[int, str]]:
    """Returns the key that orders files as people count: ``a2.png`` comes before ``a10.png``."""
    return [(int(digits or 0), words) for words, digits in _PARTS.findall(composed(path.name).casefold())]


def match(names: Sequence[str], files: Sequence[str], frame: int | None = None) -> dict[str, str]:
    """Tells which file is called like what.

    What no file is called like exactly takes one that is called so but for capitals, for what no file's name can
    have, or for the frame's number that Blender appends to what it renders.

    Args:
        names: what is looked for.
        files: names of files, without their endings.
        frame: the current one, which is taken where there are several.

    Returns:
        The files of those names that have one.

    Raises:
        DatasetError: there are several frames, none of them the current one.
    """
    found: dict[str, str] = {}
    for simplify in (composed, _as_file, lambda name: _as_file(name).casefold()):
        _match_equal(names, files, simplify, found)
    for name in [one for one in names if one not in found]:
        frames = {}
        for file in files:
            number = _FRAME.fullmatch(_as_file(file).removeprefix(_as_file(name)))
            if number and file not in found.values():
                frames[int(number[1])] = file
        if len(frames) > 1 and frame not in frames:
            raise DatasetError(
                f"{min(frames.values())}: there are {len(frames)} frames of {name!r}, but none of frame {frame}; "
                f"go to the frame that is meant"
            )
        if frames:
            found[name] = frames[frame] if frame in frames else next(iter(frames.values()))
    return found


def _match_equal(
    names: Sequence[str], files: Sequence[str], simplify: Callable[[str], str], found: dict[str, str]
) -> None:
    free = {simplify(file): file for file in files if file not in found.values()}
    for name in names:
        if name not in found and simplify(name) in free:
            found[name] = free.pop(simplify(name))


def _as_file(name: str) -> str:
    return _NO_FILE_NAME.sub("_", composed(name))
