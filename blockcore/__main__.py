"""``python -m blockcore``."""

import sys

from blockcore.cli import main

sys.exit(main())
