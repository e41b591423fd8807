"""``serve``: optimise one scene after another, so that what loads and compiles does so once."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options: it has none, since each line says its own."""


def run(args: argparse.Namespace) -> int:
    """Runs the command: every line of standard input is a JSON list, the words of one ``optimize``.

    Ends where standard input does, whatever is under way then.
    """
    from blockcore.commands.cli import main
    from blockcore.machine.asked import Asked

    for words in Asked():
        main(["optimize", *map(str, words)])
    return 0
