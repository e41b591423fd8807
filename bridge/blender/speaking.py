# SPDX-License-Identifier: GPL-3.0-or-later
"""How a second Blender speaks to what started it: as the engine does."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from blockcore.errors import BlockcoreError
from blockcore.io.leftovers import remove_leftovers
from blockcore.machine.heard import heard
from blockcore.report.events import Event, Failed, line_of

_STOPPED = 130


def say(event: Event) -> None:
    """Says an event on standard output."""
    print("\n" + line_of(event), flush=True)  # Blender's own remarks may leave a line open


@contextmanager
def heard_out() -> Iterator[None]:
    """Says what goes wrong inside, and ends this process when standard input closes, as what started it ends."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        yield
    except BlockcoreError as error:
        say(Failed(str(error)))
        raise


def _end_with_input() -> None:
    for _ in heard():
        pass
    remove_leftovers()
    os._exit(_STOPPED)
