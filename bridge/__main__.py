# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m bridge``."""

import sys

from bridge.cli import main

if __name__ == "__main__":
    sys.exit(main())
