"""``python -m blockcore``."""

from typing import NoReturn

from blockcore.commands.cli import main
from blockcore.commands.ending import end_process


def run() -> NoReturn:
    """Runs a command, as a process of its own."""
    end_process(main)


if __name__ == "__main__":
    run()
