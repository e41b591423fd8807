"""``optimize``: find each block's material; write the map, the figures, the report and the pictures."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from blockcore import __version__
from blockcore.commands.arguments import (
    add_dry_run,
    add_export,
    add_palette,
    add_scene,
    add_settings,
    add_watching,
    chosen_scene,
    export_all,
    settings_of,
)
from blockcore.commands.reporter import Report, Watcher, end_told, reporter, silent
from blockcore.commands.shape import ShapeSearch, add_shape, are_views_alone, empty_scene
from blockcore.commands.stopping import stop_requests
from blockcore.errors import SettingsError
from blockcore.report.events import Done, Started

if TYPE_CHECKING:
    from blockcore.model.settings import OptimizeSettings
    from blockcore.optimize import OptimizeResult
    from blockcore.plan import Decided, Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_scene(parser)
    add_palette(parser)
    add_settings(parser)
    add_shape(parser)
    add_watching(parser)
    parser.add_argument("--max-memory", type=float, metavar="GB", help="use at most so much GPU memory")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the results")
    add_export(parser)
    add_dry_run(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command; of several processes that torchrun started, the first one reports and writes."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return _run(args, True)
    from blockcore.machine.workers import joined

    with joined(args.device or "auto") as workers:
        return _run(args, workers.rank == 0)


def _run(args: argparse.Namespace, first: bool) -> int:
    with (
        stop_requests(args.watch_stdin) as stopped,
        reporter(args.progress, _print_result) if first else nullcontext(silent) as report,
        end_told(report),
    ):
        return _optimize(args, stopped, report, first)


def _optimize(args: argparse.Namespace, stopped: Callable[[], bool], report: Report, first: bool) -> int:
    settings = settings_of(args)
    # standard output is kept for the lines of events, or for the plan
    aside = sys.stderr if args.progress == "jsonl" or args.dry_run == "json" else None
    scene, changed = chosen_scene(args, empty_scene(args) if are_views_alone(args) else None)
    for sentence in changed if first else ():
        print(f"Palette: {sentence}", file=aside)

    from blockcore.plan import Plan

    if args.out is None and not args.dry_run:
        raise SettingsError("--out DIR is missing; name the folder for the results")
    if args.shape is not None:
        search = ShapeSearch(args, scene, _search_device(settings))
        if args.dry_run:
            if first:
                print(
                    json.dumps({"shape": search.to_dict()}, indent=2) if args.dry_run == "json" else search.in_words()
                )
            return 0
        scene = search.run(report, stopped)
    plan = Plan.of(scene, settings)
    if args.dry_run:
        if first:
            print(json.dumps(plan.decided.to_dict(), indent=2) if args.dry_run == "json" else _in_words(plan.decided))
        return 0
    result = _find(plan, args, stopped, report, first)
    if first:
        from blockcore.report.results import write_results

        summary = write_results(args.out, scene, settings, result)
        export_all(args.export, scene.with_materials(result.materials), file=aside)
        report(Done(str(args.out), result.seconds, summary))
    return 0


def _search_device(settings: OptimizeSettings) -> str:
    """Returns where blocks are looked for."""
    from blockcore.machine.device import choose_device, require_torch

    require_torch("--shape")
    return str(choose_device(settings.machine.device)[0])


def _in_words(decided: Decided) -> str:
    return "\n".join(decided.lines())


def _find(
    plan: Plan, args: argparse.Namespace, stopped: Callable[[], bool], report: Report, first: bool
) -> OptimizeResult:
    from blockcore.machine import memory
    from blockcore.machine.compiled import load_without_blas
    from blockcore.machine.device import Device

    load_without_blas()
    from blockcore.optimize import optimize

    decided = plan.decided
    device = Device(decided.device)
    what = f"optimising {decided.blocks} blocks in {decided.views} views"
    if args.max_memory is not None:
        memory.limit(device, args.max_memory)
    memory.check(device, decided.least_memory, what)
    where = decided.device, decided.rasterizer
    report(Started(__version__, *where, decided.blocks, decided.views, decided.steps, decided.memory))
    with memory.cuda_errors(what, "use fewer or smaller views, or --device cpu"):
        return optimize(plan, Watcher(args.preview if first else None, report), stopped)


def _print_result(event: Done) -> None:
    result = event.result
    how = "solved" if result.method == "solve" else f"{result.steps} steps"
    print(f"{result.visible_blocks} of {result.blocks} blocks are visible; {how} in {result.seconds:.1f} s")
    if result.optimality_gap is not None:
        print(f"The loss is {100 * result.optimality_gap:.3g} % above the least that is known to be possible")
    print(f"PSNR {_decibel(result.psnr_before)} before, {_decibel(result.psnr_after)} after")
    print(f"Report: {Path(event.out) / 'report.html'}")


def _decibel(value: float | None) -> str:
    return "∞ (every pixel equal)" if value is None or value == float("inf") else f"{value:.2f} dB"
