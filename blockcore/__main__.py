"""``python -m blockcore``."""

import sys

from blockcore.commands.cli import main

sys.exit(main())
