# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: blockcore's optimiser in a process of its own, with an interpreter that has torch. Needs no bpy.

Blender's Python has no torch. So the scene goes to disk, ``python -m blockcore optimize`` runs beside Blender, and what
it prints comes back as events: by ``poll`` for a timer, by ``events`` for a loop. The engine reads nothing from its
standard input but stops when that closes, so it cannot outlive the process that started it.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

import blockcore
from blockcore.errors import BackendError, BlockcoreError, Cancelled
from blockcore.scene import BlockScene
from blockcore.settings import OptimizeSettings

GRACE = 0.4  # seconds a cancelled engine has to stop by itself
_CHECK_SECONDS = 120.0  # the first import of torch from a cold disk takes its time
_LOG_LINES = 8
_PROBE = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ('torch', 'blockcore'))))"


@dataclass(frozen=True)
class Started:
    """The engine begins: its version, where it runs, and how much there is to do."""

    version: str
    device: str
    rasterizer: str
    blocks: int
    views: int
    steps: int


@dataclass(frozen=True)
class Step:
    """One step was taken; ``changed`` is how many blocks now prefer another material, ``seconds`` since the start."""

    step: int
    steps: int
    loss: float
    temperature: float
    seconds: float
    changed: int


@dataclass(frozen=True)
class Preview:
    """The assignment so far is in the file ``path``; see ``read_materials``."""

    step: int
    path: str


@dataclass(frozen=True)
class Done:
    """The result is in the folder ``out``; ``result`` is what its result.json holds."""

    out: str
    seconds: float
    result: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """The engine refused its input, or died; ``message`` is for the user."""

    message: str


@dataclass(frozen=True)
class Stopped:
    """The engine stopped because it was asked to."""


Event = Started | Step | Preview | Done | Failed | Stopped
_EVENTS: dict[str, type] = {"start": Started, "step": Step, "preview": Preview, "done": Done, "error": Failed}


@dataclass(frozen=True)
class EngineInfo:
    """What an interpreter offers, as ``python -m blockcore info`` says it.

    Attributes:
        python: the interpreter.
        version: of blockcore.
        torch: version of torch, or None.
        device: where tensors would live.
        why_device: the reason.
        rasterizer: what would find the visible faces.
        why_rasterizer: the reason.
    """

    python: str
    version: str
    torch: str | None
    device: str
    why_device: str
    rasterizer: str
    why_rasterizer: str


class EngineRun:
    """One running engine. A context manager: on leaving it nothing of the engine is left."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._process = process
        self._log = log
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._deadline: float | None = None
        self.finished = False
        self._reader = threading.Thread(target=self._read, name="engine output", daemon=True)
        self._reader.start()

    def __enter__(self) -> EngineRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._process.pid

    def poll(self) -> list[Event]:
        """Returns what happened since the last call, without waiting. The last event is Done, Failed or Stopped."""
        if self._deadline is not None and time.monotonic() > self._deadline and self._process.poll() is None:
            self._process.kill()
        events: list[Event] = []
        while not self.finished:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            event = self._end() if line is None else _parse(line)
            if event is not None:
                self.finished = isinstance(event, Done | Failed | Stopped)
                events.append(event)
        return events

    def events(self, interval: float = 0.05) -> Iterator[Event]:
        """Yields what happens, waiting for it; ends after Done, Failed or Stopped."""
        while not self.finished:
            events = self.poll()
            yield from events
            if not events:
                time.sleep(interval)

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
        return Failed(f"the engine stopped unexpectedly ({how}); run it again, or check the engine{said}")

    def _close_stdin(self) -> None:
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
        except OSError:
            pass  # the engine is gone


def start(
    scene: Path | str,
    out: Path | str,
    settings: OptimizeSettings,
    python: str | None = None,
    preview: Path | str | None = None,
) -> EngineRun:
    """Starts the engine on a scene.

    Args:
        scene: a folder that ``BlockScene.write`` wrote.
        out: folder for the result.
        settings: how to look for the materials.
        python: the interpreter; None for the one that ``find_engine`` finds.
        preview: a file that shall hold the assignment so far, for Preview events.

    Raises:
        BackendError: there is no such interpreter.
    """
    python = python or find_engine()
    command = [_absolute(python), "-m", "blockcore", "optimize", "--scene", str(Path(scene).resolve())]
    command += ["--out", str(Path(out).resolve()), "--progress", "jsonl", "--watch-stdin"]
    command += ["--preview", str(Path(preview).resolve())] if preview is not None else []
    return launch(command + settings_arguments(settings))


def launch(command: list[str]) -> EngineRun:
    """Starts a program that speaks as the engine does; see ``start``.

    Raises:
        BackendError: it cannot be started.
    """
    log = tempfile.TemporaryFile()  # noqa: SIM115  the run closes it
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, **_process_options()
        )
    except OSError as error:
        log.close()
        raise BackendError(f"{command[0]}: cannot be started ({error.strerror}); choose another interpreter") from error
    return EngineRun(process, log)


def find_materials(
    scene: BlockScene,
    settings: OptimizeSettings,
    python: str | None = None,
    out: Path | str | None = None,
    watch: Callable[[Event], None] = lambda event: None,
) -> tuple[npt.NDArray[np.int32], Done]:
    """Runs the engine on a scene and waits for it.

    Args:
        scene: the scene.
        settings: how to look for the materials.
        python: the interpreter; None for the one that ``find_engine`` finds.
        out: folder for the result; None for one that does not stay.
        watch: is called with every event.

    Returns:
        (N,) int32 palette indices in block order, and the engine's last event.

    Raises:
        Cancelled: the engine was stopped.
        BackendError: the engine refused the scene, or died.
    """
    with tempfile.TemporaryDirectory(prefix="blockcore-") as folder:
        scene.write(Path(folder) / "scene")
        out = Path(folder) / "result" if out is None else Path(out)
        with start(Path(folder) / "scene", out, settings, python) as run:
            for event in run.events():
                watch(event)
        if isinstance(event, Failed):
            raise BackendError(event.message)
        if not isinstance(event, Done):
            raise Cancelled("stopped; nothing was changed")
        return read_materials(out / "materials.npy"), event


def read_materials(path: Path | str) -> npt.NDArray[np.int32]:
    """Reads an assignment that the engine wrote, (N,) int32 palette indices in block order.

    Raises:
        BlockcoreError: the file is missing or damaged.
    """
    try:
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.int32)
    except (OSError, ValueError, EOFError) as error:
        raise BlockcoreError(f"{path}: cannot be read ({error}); run the engine again") from error


def find_engine() -> str:
    """Finds an interpreter that has blockcore and torch.

    Looks at the environment variable BLOCKCORE_PYTHON, the project's own ``.venv``, the running interpreter, the active
    virtual environment, and ``python3`` and ``python`` on the path, in this order.

    Raises:
        BackendError: none has; the message tells how to install it.
    """
    for python in _candidates():
        if _succeeds([_absolute(python), "-c", _PROBE]):
            return python
    raise BackendError(
        f"no Python with blockcore and torch was found; install them with: {install_command()} "
        f"or name an interpreter in BLOCKCORE_PYTHON"
    )


def check_engine(python: str) -> EngineInfo:
    """Asks an interpreter what it offers.

    Raises:
        BackendError: it has no working blockcore; the message tells how to install it.
    """
    remedy = f"install it with: {install_command(python)}"
    try:
        answer = subprocess.run(
            [_absolute(python), "-m", "blockcore", "info", "--json", "-"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHECK_SECONDS,
            **_process_options(),
        )
    except OSError as error:
        raise BackendError(f"{python}: cannot be started ({error.strerror}); choose another interpreter") from error
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{python}: gave no answer in {_CHECK_SECONDS:.0f} s; choose another interpreter") from error
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip().splitlines()
        raise BackendError(f"{python}: has no working blockcore ({said[-1] if said else 'no message'}); {remedy}")
    try:
        told = json.loads(answer.stdout)
        libraries = told["libraries"]
        known = {field.name: told[field.name] for field in fields(EngineInfo) if field.name not in ("python", "torch")}
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError(f"{python}: has another blockcore than this one expects ({error!r}); {remedy}") from error
    if libraries.get("torch") is None:
        raise BackendError(f"{python}: has no torch; {remedy}")
    return EngineInfo(python=python, torch=libraries["torch"], **known)


def install_command(python: str | None = None) -> str:
    """Returns the command that installs blockcore with all it needs, ready to paste into a terminal."""
    checkout = _checkout()
    words = [python or "python3", "-m", "pip", "install", str(checkout) if checkout else "blockcore"]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _parse(line: bytes) -> Event | None:
    """Reads one line of the engine's; None where it is something else, such as a library's chatter."""
    try:
        values = json.loads(line)
        name = values.pop("event")
        if name == "cancelled":
            return Stopped()
        kind = _EVENTS[name]
        return kind(**{field.name: values[field.name] for field in fields(kind)})  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def settings_arguments(settings: OptimizeSettings) -> list[str]:
    """Returns the options of ``python -m blockcore optimize`` that say these settings."""
    arguments = []
    for name, value in settings.to_dict().items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            arguments += [option] if value else []
        else:
            arguments.append(f"{option}={value}")
    return arguments


def _candidates() -> list[str]:
    checkout, active = _checkout(), os.environ.get("VIRTUAL_ENV")
    found = [
        os.environ.get("BLOCKCORE_PYTHON"),
        _environment_python(checkout / ".venv") if checkout else None,
        sys.executable if "python" in Path(sys.executable).name.lower() else None,
        _environment_python(Path(active)) if active else None,
        shutil.which("python3"),
        shutil.which("python"),
    ]
    return list(dict.fromkeys(python for python in found if python))


def _absolute(python: str) -> str:
    """Makes a path independent of the working folder; a bare name is left to be found on the path."""
    return str(Path(python).absolute()) if Path(python).name != python else python


def _environment_python(folder: Path) -> str | None:
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return str(python) if python.is_file() else None


def _checkout() -> Path | None:
    """Returns the project's folder if this blockcore runs from there rather than being installed."""
    folder = Path(blockcore.__file__).resolve().parent.parent
    return folder if (folder / "pyproject.toml").is_file() else None


def _succeeds(command: list[str]) -> bool:
    try:
        return not subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_CHECK_SECONDS,
            **_process_options(),
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


def _process_options() -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}  # that is Blender's
    environment |= {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    checkout = _checkout()
    if checkout:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(checkout), environment.get("PYTHONPATH")]))
    # The working folder is on the module path of `python -m`: it must not be one where somebody else's files lie.
    options: dict[str, Any] = {"env": environment, "cwd": Path(sys.prefix)}
    if sys.platform == "win32":
        return options | {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return options | {"start_new_session": True}
