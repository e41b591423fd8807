"""``optimize``: find each block's material; write the map, the figures, the report and the pictures."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from blockcore import __version__
from blockcore.commands.arguments import (
    add_dry_run,
    add_export,
    add_scene,
    add_settings,
    export_all,
    load_scene,
    settings_of,
)
from blockcore.commands.stopping import stop_requests
from blockcore.errors import BlockcoreError, Cancelled, SettingsError
from blockcore.io.files import write_array
from blockcore.report.events import Done, Event, Failed, Preview, Started, Step, Stopped, line_of

if TYPE_CHECKING:
    from blockcore.model.scene import BlockScene
    from blockcore.optimize import OptimizeResult, Progress
    from blockcore.plan import Decided, Plan

Report = Callable[[Event], None]
_PREVIEW_SECONDS = 0.4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_scene(parser)
    parser.add_argument("--palette", type=Path, metavar="FILE.json", help="materials to choose among")
    add_settings(parser)
    parser.add_argument("--progress", choices=("bar", "jsonl", "none"), default="bar", help="how to show progress")
    parser.add_argument("--preview", type=Path, metavar="FILE.npy", help="keep the assignment so far in this file")
    parser.add_argument("--watch-stdin", action="store_true", help="cancel when standard input closes")
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
    with stop_requests(args.watch_stdin) as stopped, _reporter(args) if first else nullcontext(_silent) as report:
        try:
            return _optimize(args, stopped, report, first)
        except (Cancelled, KeyboardInterrupt):
            report(Stopped())
            raise
        except BlockcoreError as error:
            report(Failed(str(error)))
            raise


def _silent(event: Event) -> None:
    """Says nothing, as all processes but the first do."""


def _optimize(args: argparse.Namespace, stopped: Callable[[], bool], report: Report, first: bool) -> int:
    settings = settings_of(args)
    # standard output is kept for the lines of events, or for the plan
    aside = sys.stderr if args.progress == "jsonl" or args.dry_run == "json" else None
    scene, changed = _scene(args)
    for sentence in changed if first else ():
        print(f"Palette: {sentence}", file=aside)

    from blockcore.plan import Plan

    plan = Plan.of(scene, settings)
    if args.dry_run:
        if first:
            print(json.dumps(plan.decided.to_dict(), indent=2) if args.dry_run == "json" else _in_words(plan.decided))
        return 0
    if args.out is None:
        raise SettingsError("--out DIR is missing; name the folder for the results")
    result = _find(plan, args, stopped, report, first)
    if first:
        from blockcore.report.results import write_results

        summary = write_results(args.out, scene, settings, result)
        export_all(args.export, scene.with_materials(result.materials), file=aside)
        report(Done(str(args.out), result.seconds, summary))
    return 0


def _scene(args: argparse.Namespace) -> tuple[BlockScene, Sequence[str]]:
    """Returns the scene, its blocks ready for the palette that was given, and what that changed."""
    scene = load_scene(args)
    if args.palette is None:
        return scene, ()
    from blockcore.formats.exchange import chosen_from
    from blockcore.formats.palette_file import read_palette

    return chosen_from(scene, read_palette(args.palette))


def _in_words(decided: Decided) -> str:
    return "\n".join(decided.lines())


def _find(
    plan: Plan, args: argparse.Namespace, stopped: Callable[[], bool], report: Report, first: bool
) -> OptimizeResult:
    from blockcore.machine import memory
    from blockcore.machine.device import Device
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
        return optimize(plan, _Watcher(args.preview if first else None, report), stopped)


class _Watcher:
    """Turns progress into events, and now and then into a preview file."""

    def __init__(self, preview: Path | None, report: Report) -> None:
        self.preview, self.report = preview, report
        self.last_preview = 0.0

    def __call__(self, progress: Progress) -> None:
        self.report(
            Step(
                step=progress.step,
                steps=progress.steps,
                loss=progress.loss,
                temperature=progress.temperature,
                seconds=progress.seconds,
                changed=progress.changed,
            )
        )
        now = time.monotonic()
        if self.preview is not None and now - self.last_preview >= _PREVIEW_SECONDS:
            self.last_preview = now
            write_array(self.preview, progress.materials)
            self.report(Preview(progress.step, str(self.preview)))


@contextmanager
def _reporter(args: argparse.Namespace) -> Iterator[Report]:
    if args.progress == "jsonl":
        yield lambda event: print(line_of(event), flush=True)
    elif args.progress == "none" or not _can_draw_a_bar():
        yield _print_result
    else:
        from tqdm import tqdm

        with tqdm(unit="step", leave=False) as bar:

            def show(event: Event) -> None:
                if isinstance(event, Started):
                    bar.total = event.steps
                elif isinstance(event, Step):
                    bar.set_postfix_str(f"loss {event.loss:.2e}", refresh=False)
                    bar.update(event.step - bar.n)
                elif isinstance(event, Done):
                    bar.close()
                    _print_result(event)

            yield show


def _can_draw_a_bar() -> bool:
    return sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None


def _print_result(event: Event) -> None:
    if not isinstance(event, Done):
        return
    result = event.result
    how = "solved" if result.method == "solve" else f"{result.steps} steps"
    print(f"{result.visible_blocks} of {result.blocks} blocks are visible; {how} in {result.seconds:.1f} s")
    if result.optimality_gap is not None:
        print(f"The loss is {100 * result.optimality_gap:.3g} % above the least that is known to be possible")
    print(f"PSNR {_decibel(result.psnr_before)} before, {_decibel(result.psnr_after)} after")
    print(f"Report: {Path(event.out) / 'report.html'}")


def _decibel(value: float | None) -> str:
    return "∞ (every pixel equal)" if value is None or value == float("inf") else f"{value:.2f} dB"
