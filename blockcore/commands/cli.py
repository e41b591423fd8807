"""The command line of blockcore: parses, runs one command, turns user errors into one line and exit code 2."""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from collections.abc import Sequence

from blockcore.commands.ending import run_safely
from blockcore.commands.outputs import BY_NAME, FILE, LOOSE, outputs

_COMMANDS = {
    "compare": "render a dataset's views and compare them with its pictures",
    "render": "render views to PNG files",
    "view": "write a page that shows a world in the browser, with WebGPU",
    "optimize": "find each block's material from posed pictures",
    "dream": "find materials that look like words say, as a diffusion model sees them",
    "palette": "make a palette of the blocks in Minecraft's resource packs",
    "voxelize": "make blocks of a model's triangles",
    "serve": "optimize one scene after another, as lines of standard input ask for it",
    "convert": "turn a block world into another format",
    "compile": "compile the processor's kernels ahead, so that the first job is fast, too",
    "info": "say what is installed, and what 'auto' chooses and why",
    "bench": "measure speed, as ratios within one run",
}
_OUTPUTS = {
    "compare": {"out": "summary.json", "json": FILE},
    "render": {"out": "view_000.png"},
    "view": {"out": FILE},
    "optimize": {"out": "result.json", "export": BY_NAME, "preview": FILE},
    "dream": {"out": "result.json", "export": BY_NAME, "preview": FILE, "keep": LOOSE},
    "palette": {"out": FILE, "left_out": FILE},
    "voxelize": {"out": FILE},
    "convert": {"out": BY_NAME, "export": BY_NAME},
    "bench": {"out": "report.html", "json": FILE},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        The exit code: 0, 1 where a threshold was missed, 2 for bad input, 130 when cancelled, 128 and its number for a
        signal.
    """
    gc.set_threshold(50_000)  # imports make many objects and no garbage: a tenth of a short command's time
    return run_safely("blockcore", lambda: _run(sys.argv[1:] if argv is None else argv))


def _run(words: Sequence[str]) -> int:
    args = _parser(words).parse_args(words)
    with outputs(args, _OUTPUTS.get(args.command, {})):
        return int(args.run(args))


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Returns a parser that knows the options of the commands among ``words``: listing them may load what they name."""
    parser = argparse.ArgumentParser(
        prog="python -m blockcore", description="Differentiable block worlds that match WebGPU pixel for pixel."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name in words:
            module = importlib.import_module(f"blockcore.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser
