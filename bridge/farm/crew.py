# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blenders that work on a batch: started when needed, renewed where one dies or grows, gone when all is done."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from blockcore.io.folders import clear_beside
from blockcore.report.events import Done, Failed
from bridge.engine.process import StandingRun
from bridge.farm.records import Outcome, Task, failed, find_done, note_outcome
from bridge.farm.worker import work_of

_TRIES = 2  # what one Blender dies of may be what it did before
_WAIT = 0.2  # seconds between looks at a file that another process is working on
_INTERVAL = 0.01  # seconds between looks at what a Blender says

Prepare = Callable[[Task], Task | Outcome]


class BlenderRun(StandingRun):
    """One Blender that serves one file after another."""

    what = "Blender"

    def memory(self) -> int:
        """Returns the bytes that it and the processes it started hold; 0 where the system does not say."""
        return _resident(self.pid)


class Crew:
    """Some Blenders that share a list of tasks. A context manager: on leaving it none of them is left."""

    def __init__(self, command: Sequence[str], jobs: int, memory: float) -> None:
        """Takes what starts a Blender that serves, how many work at once, and the bytes at which one is renewed."""
        self._command, self._jobs, self._memory = list(command), jobs, memory
        self._runs: list[BlenderRun] = []
        self._outs: set[Path] = set()  # being made
        self._lock = threading.Lock()
        self._ended = False

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._ended = True
        for run in self._runs:
            run.dismiss()
        for run in self._runs:
            run.end()
        for out in list(self._outs):
            clear_beside(out)

    def outcomes(self, tasks: Sequence[Task], prepare: Prepare) -> Iterator[Outcome]:
        """Yields what becomes of each task, in the order in which they end.

        Args:
            tasks: what is to be done.
            prepare: makes a task ready, or says what is known of it without doing it.
        """
        todo, told = deque(tasks), queue.SimpleQueue[Outcome | BaseException]()
        for _ in range(min(self._jobs, len(todo))):
            threading.Thread(target=self._work, args=(todo, prepare, told), daemon=True).start()
        for _ in tasks:
            outcome = told.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome

    def _work(self, todo: deque[Task], prepare: Prepare, told: queue.SimpleQueue[Outcome | BaseException]) -> None:
        run: BlenderRun | None = None
        try:
            while todo and not self._ended:
                with suppress(IndexError):  # another took the last one
                    task = todo.popleft()
                    ready = prepare(task)
                    if isinstance(ready, Outcome):
                        told.put(ready)
                        continue
                    run, outcome = self._do(ready, run)
                    if outcome is None:  # another process is at it: what it leaves undone is ours again
                        todo.append(task)
                        time.sleep(_WAIT)
                        continue
                    told.put(outcome)
                    if not outcome.stops_all:  # a full disk is no fault of the file: the next run tries it again
                        note_outcome(ready, outcome)
        except BaseException as error:
            told.put(error)

    def _do(self, task: Task, run: BlenderRun | None) -> tuple[BlenderRun | None, Outcome | None]:
        """Has a task done; returns the Blender for the next one, and what came of it: None where it is another's."""
        for _ in range(_TRIES):
            run = run if run is not None and run.is_alive else self._start()
            self._outs.add(task.out)
            run.hand(work_of(task))
            *_, last = run.events(_INTERVAL)
            if run.is_alive:
                break
        self._outs.discard(task.out)
        assert run is not None
        run = None if self._renews(run) else run
        if isinstance(last, Failed):
            return run, None if last.busy else failed(task, last.message)
        outcome = find_done(task, "done") if isinstance(last, Done) else None
        return run, outcome or failed(task, f"{task.source.path}: was changed meanwhile; run it again")

    def _start(self) -> BlenderRun:
        with self._lock:
            if self._ended:
                raise SystemExit  # nobody waits for this thread
            run = BlenderRun.launch(self._command)
            self._runs.append(run)
            return run

    def _renews(self, run: BlenderRun) -> bool:
        if run.is_alive and run.memory() <= self._memory:
            return False
        run.end()
        with self._lock, suppress(ValueError):
            self._runs.remove(run)
        return True


def _resident(pid: int) -> int:
    here = Path("/proc", str(pid))
    try:
        held = int((here / "statm").read_text().split()[1]) * _PAGE
        children = [word for thread in (here / "task").iterdir() for word in (thread / "children").read_text().split()]
    except (OSError, IndexError, ValueError):
        return 0
    return held + sum(_resident(int(child)) for child in children)


_PAGE = 4096
