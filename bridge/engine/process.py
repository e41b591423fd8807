# SPDX-License-Identifier: GPL-3.0-or-later
"""One engine at work: a process that is started, heard without waiting, and ended. See ``events`` for what it says."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self

from blockcore.errors import BackendError
from blockcore.report.events import Baked, Done, Event, Failed, Made, Rendered, Stopped, parse
from bridge.engine.environment import process_options

GRACE = 0.4  # seconds a cancelled engine has to stop by itself
_CLEARING_UP = 10.0  # seconds at most
_LOG_LINES = 8


class Running(ABC):
    """What is at work beside Blender. A context manager: on leaving it nothing of that is left."""

    finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    @abstractmethod
    def pid(self) -> int:
        """The process at work."""

    @abstractmethod
    def poll(self) -> list[Event]:
        """Returns what happened since the last call, without waiting; the last event ends the run."""

    @abstractmethod
    def cancel(self) -> None:
        """Asks the process at work to stop. Returns at once."""

    @abstractmethod
    def close(self) -> None:
        """Ends what still runs, and frees what it held."""

    def events(self, interval: float = 0.05) -> Iterator[Event]:
        """Yields what happens, waiting for it; ends after the last event."""
        while not self.finished:
            events = self.poll()
            yield from events
            if not events:
                time.sleep(interval)


class EngineRun(Running):
    """One running engine."""

    what = "the engine"  # in messages

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._process = process
        self._log = log
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._deadline: float | None = None
        self._reader = threading.Thread(target=self._read, name="engine output", daemon=True)
        self._reader.start()

    @classmethod
    def launch(cls, command: list[str], temporary: Path | None = None) -> Self:
        """Starts a program that speaks as the engine does; for the engine itself see ``optimize.start``.

        Args:
            command: the program and its arguments.
            temporary: where it puts its temporary files; None for where this process does.

        Raises:
            BackendError: it cannot be started.
        """
        log = tempfile.TemporaryFile()  # noqa: SIM115  the run closes it
        try:
            options = process_options(command[0], temporary)
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, **options)
        except OSError as error:
            log.close()
            raise _no_program(command[0], error) from error
        return cls(process, log)

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._process.pid

    def poll(self) -> list[Event]:
        """Returns what happened since the last call, without waiting. The last ends the run, as Done or Failed do."""
        if self._deadline is not None and time.monotonic() > self._deadline and self._process.poll() is None:
            self._process.kill()
        events: list[Event] = []
        while not self.finished:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            event = self._end() if line is None else parse(line)
            if event is not None:
                self.finished = isinstance(event, Done | Baked | Made | Rendered | Failed | Stopped)
                events.append(event)
        return events

    def cancel(self) -> None:
        """Asks the engine to stop; ``poll`` kills it if it does not within ``GRACE`` seconds. Returns at once."""
        if self._deadline is not None or self.finished:
            return
        self._deadline = time.monotonic() + GRACE
        self._close_stdin()
        if os.name == "posix" and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """Ends the engine if it still runs, and frees what it held."""
        self._close_stdin()
        if not self.finished and self._process.poll() is None:
            self._process.kill()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:  # done, but slow to leave
            self._process.kill()
            self._process.wait()
        self._reader.join(GRACE)
        self._log.close()
        self.finished = True

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _end(self) -> Event:
        code = self._process.wait()
        if self._deadline is not None:
            return Stopped()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._log.seek(0)
        last = self._log.read().decode(errors="replace").strip().splitlines()[-_LOG_LINES:]
        said = "; the last it said:\n" + "\n".join(last) if last else ""
        return Failed(f"{self.what} stopped unexpectedly ({how}); run it again, or check {self.what}{said}")

    def _close_stdin(self) -> None:
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
        except OSError:
            pass  # the engine is gone


class StandingRun(EngineRun):
    """A process that stays for one piece of work after another; each ends with Done or Failed."""

    @property
    def is_alive(self) -> bool:
        """Whether it can be given more."""
        return self._process.poll() is None

    def hand(self, work: Any) -> None:
        """Gives it its next work, which goes there as a line of JSON; ``events`` tells of that work alone."""
        assert self._process.stdin is not None
        self.finished = False
        with contextlib.suppress(OSError):  # it is gone, as ``poll`` will say
            self._process.stdin.write(json.dumps(work).encode() + b"\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Leaves it standing where its work is done; else ends it."""
        if not (self.finished and self.is_alive):
            self.end()

    def dismiss(self) -> None:
        """Asks it to end whatever it is at. Returns at once."""
        self._close_stdin()

    def end(self) -> None:
        """Ends it, with a little time to clear up after itself, and frees what it held."""
        self.dismiss()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLEARING_UP)
        super().close()


def run_to_end(command: list[str]) -> str:
    """Runs a program of the engine that ends by itself, or with this process, as its standard input closes.

    Returns:
        What it said is wrong, in one line; "" where it did all.

    Raises:
        BackendError: it cannot be started.
    """
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, **process_options(command[0])
            )
        except OSError as error:
            raise _no_program(command[0], error) from error
        with process:
            code = process.wait()
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines()
    return (said[-1] if said else f"the engine stopped unexpectedly (exit code {code})") if code else ""


def _no_program(program: str, error: OSError) -> BackendError:
    return BackendError(f"{program}: cannot be started ({error.strerror}); choose another interpreter")
