# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender that serves one file of a batch after another, with an engine that stands by it."""

from __future__ import annotations

import argparse
import os
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from blockcore.errors import BlockcoreError, Busy
from blockcore.io.damage import reading
from blockcore.io.files import Json, read_json
from blockcore.io.folders import new_folder, reserved
from blockcore.machine.asked import Asked
from blockcore.report.events import Done, Event, Failed, line_of
from blockcore.report.summary import Summary
from bridge.engine.optimize import StandingEngine
from bridge.farm.records import MARKER, Task, find_done, hash_of, write_done
from bridge.farm.sources import Source

Parse = Callable[[Sequence[str]], argparse.Namespace]
REPORT = "report"
PATHS = ("palette", "job")
"""The options that name files, which travel as text."""


def work_of(task: Task) -> Json:
    """Returns a task as JSON, for ``serve``."""
    return {
        "source": [str(task.source.path), task.source.name],
        "out": str(task.out),
        "way": task.way,
        "options": task.options,
        "key": task.key,
    }


def serve(parse: Parse, args: argparse.Namespace) -> None:
    """Does what comes in as lines of JSON and says so as the engine does, until standard input closes.

    Args:
        parse: understands a command line of the bridge, whose ``run`` then runs it.
        args: of the command line; unused.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as voice:
        os.dup2(2, 1)  # whatever else is printed goes to the log
        engine: StandingEngine | None = None
        try:
            for work in Asked():
                task = _task(work)
                engine = engine or StandingEngine(task.options.get("engine"))
                print(line_of(_answer(task, parse, engine)), file=voice, flush=True)
        finally:
            if engine is not None:
                engine.end()


def _task(work: Json) -> Task:
    path, name = work["source"]
    return Task(Source(Path(path), name), Path(work["out"]), work["way"], work["options"], work["key"])


def _answer(task: Task, parse: Parse, engine: StandingEngine) -> Event:
    try:
        with reserved(task.out):
            if find_done(task) is None:  # another process may have done it meanwhile
                _make(task, parse, engine)
            return Done(str(task.out), 0.0, _summary(task.out))
    except Busy as error:
        return Failed(str(error), busy=True)
    except BlockcoreError as error:
        return Failed(str(error))
    except Exception as error:  # a fault of ours in one file must not stop the others
        traceback.print_exc()
        return Failed(f"{task.source.path}: {type(error).__name__}: {error}; this is a fault of blockcore's")


def _make(task: Task, parse: Parse, engine: StandingEngine) -> None:
    from bridge.blender.files import files_read

    began = time.perf_counter()
    with new_folder(task.out, MARKER) as fresh:
        blend = f"{task.source.path.stem}.blend"
        args = _arguments(task, parse, fresh / blend, engine)
        args.run(args)
        told = _summary(fresh)
        reads = {str(path): hash_of(path) for path in files_read() if not path.is_relative_to(fresh)}
        write_done(fresh, task, blend, reads, time.perf_counter() - began, told)


def _summary(folder: Path) -> Summary:
    """Returns the figures of a result."""
    path = folder / REPORT / "result.json"
    with reading(path, BlockcoreError, "run it again"):
        return Summary.from_dict(read_json(path, BlockcoreError, "run it again"))


def _arguments(task: Task, parse: Parse, out: Path, engine: StandingEngine) -> argparse.Namespace:
    """Returns what the command's own parser would, were all options on its command line."""
    args = parse([task.way, str(task.source.path), "--out", str(out), "--report", str(out.with_name(REPORT))])
    vars(args).update({name: Path(v) if name in PATHS and v else v for name, v in task.options.items()})
    if task.way == "optimize":  # blocks are made in this process where it can
        args.engine = engine
    return args
