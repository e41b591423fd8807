# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m bridge``."""

import contextlib
import os
import sys
from typing import NoReturn

from blockcore.commands.ending import end_process
from bridge.cli import main


def run() -> NoReturn:
    """Runs a command, as a process of its own."""
    end_process(_run)


def _run() -> int:
    code = main()
    sys.stdout.flush()
    # As Blender ends it may remark on its memory, which is no part of what was asked.
    with contextlib.suppress(OSError):
        os.dup2(2, 1)
    return code


if __name__ == "__main__":
    run()
