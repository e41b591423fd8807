# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m bridge``."""

import contextlib
import os
import sys

from bridge.cli import main

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    with contextlib.suppress(OSError):  # as Blender ends it may remark on its memory, which is no part of what was asked
        os.dup2(2, 1)
    sys.exit(code)
