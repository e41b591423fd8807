# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``blender -b X.blend --command optimize_materials --job job.json --out Y.blend``."""

import argparse
from functools import partial
from pathlib import Path

import bpy

from blockcore.commands.ending import run_safely
from blockcore.commands.outputs import FILE, outputs
from blockcore.errors import BlockcoreError
from blockcore.io.folders import write_folder
from blockcore.report.metrics import decibel
from bridge.blender.files import reason, save_file
from bridge.blender.starting import open_blend, start_blender
from bridge.job import Job

from . import properties
from .outcome import copy_report
from .session import session

_handles = []


def run(arguments: list[str]) -> int:
    """Runs one job on the open file; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="blender -b FILE.blend --command optimize_materials",
        description="Find the materials with which the blocks of a file look most like its cameras' pictures.",
    )
    parser.add_argument("--job", type=Path, metavar="JOB_JSON", help="what to do (default: what the file's panel says)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.blend", help="where to save the result")
    parser.add_argument("--report", type=Path, metavar="DIR", help="folder for the report and the figures")
    given = parser.parse_args(arguments)
    given.open = open_blend()
    return run_safely("optimize_materials", lambda: _run(given))


def _run(given: argparse.Namespace) -> int:
    with outputs(given, {"out": FILE, "report": "result.json"}):
        start_blender()
        if given.job is not None:
            properties.show_job(Job.read(given.job), bpy.context.scene)
        try:
            done = bpy.ops.blocks.optimize_materials()
        except RuntimeError as error:  # of an operator that reports a problem
            raise BlockcoreError(reason(error)) from error
        if "FINISHED" not in done:
            raise BlockcoreError(session.message)
        if given.report is not None:
            write_folder(given.report, "result.json", partial(copy_report, session.outcome))
        save_file(given.out)
        _tell(given, session.outcome)
    return 0


def _tell(given: argparse.Namespace, outcome) -> None:
    found = outcome.summary
    print(f"{given.out}: {outcome.changed} of {found.blocks} blocks changed, {found.visible_blocks} are visible")
    print(f"PSNR {decibel(found.psnr_before)} before, {decibel(found.psnr_after)} after; light: {found.light}")
    if given.report is not None:
        print(f"report: {given.report / 'report.html'}", flush=True)


def register():
    """Adds the command."""
    _handles.append(bpy.utils.register_cli_command("optimize_materials", run))


def unregister():
    """Removes the command."""
    while _handles:
        bpy.utils.unregister_cli_command(_handles.pop())
