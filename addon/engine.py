# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine before a run: compiled ahead, once, in the background; and whether there is one with torch."""

import atexit
import contextlib
import subprocess
import threading
from pathlib import Path

import bpy

from blockcore.errors import BackendError
from bridge.engine.ahead import is_compiled, note_compiled, start_compiling
from bridge.engine.environment import stand_back
from bridge.engine.interpreter import GUIDANCE, find_engine, has_modules

from . import layouts

_FIRST = 1.0  # seconds after Blender's start: the window comes first
_POLL = 0.3
_LEAVING = 2.0  # seconds that a process which was killed has to be gone


class Ahead:
    """The compiling ahead of this Blender."""

    def __init__(self, note: Path) -> None:
        """Starts it; the note is written when it is done."""
        self._note, self._process, self._stopped = note, None, False
        self._worker = threading.Thread(target=self._compile, name="compile ahead", daemon=True)
        self._worker.start()

    @property
    def is_running(self) -> bool:
        """Whether it is under way."""
        return self._worker.is_alive()

    def _compile(self):
        with contextlib.suppress(BackendError, OSError):  # the first run says what is wrong
            self._process = start_compiling(find_engine())
            stand_back(self._process.pid)
            if self._stopped:
                self._process.kill()
            if self._process.wait() == 0:
                note_compiled(self._note)

    def stop(self):
        """Ends it; what was compiled so far is kept."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # Windows removes no add-on whose files it has open
                self._process.wait(_LEAVING)


_ahead: Ahead | None = None
_has: dict[tuple[str, tuple[str, ...]], bool | None] = {}


def is_compiling() -> bool:
    """Returns whether kernels are being compiled ahead."""
    return _ahead is not None and _ahead.is_running


def make_room() -> None:
    """Ends the compiling ahead: a run compiles what it needs by itself, and needs the processor."""
    if _ahead is not None:
        _ahead.stop()


def has_torch(python: str) -> bool | None:
    """Returns whether the engine has torch; None until that is found out, after which the panel is drawn again.

    Args:
        python: the interpreter set in the preferences, or "".
    """
    return _has_modules(python, ("torch",))


def has_guidance(python: str) -> bool | None:
    """Returns likewise whether it has what words need."""
    return _has_modules(python, GUIDANCE)


def forget_modules() -> None:
    """Looks for modules again when next asked."""
    _has.clear()


def _has_modules(python, modules):
    if (python, modules) not in _has:
        _has[python, modules] = None
        worker = threading.Thread(target=_look_for, args=(python, modules), daemon=True)
        worker.start()
        bpy.app.timers.register(lambda: _redraw_after(worker.is_alive), first_interval=_POLL)
    return _has[python, modules]


def _look_for(python, modules):
    try:
        found = has_modules(python, modules) if python else bool(find_engine(besides=modules))
    except BackendError:
        found = False
    _has[python, modules] = found


def _redraw_after(is_busy):
    if is_busy():
        return _POLL
    layouts.redraw({"VIEW_3D", "PREFERENCES"})
    return None


def _begin():
    global _ahead
    note = Path(bpy.utils.extension_path_user(__package__, create=True)) / "compiled"
    if not is_compiled(note):
        _ahead = Ahead(note)
        layouts.redraw({"VIEW_3D"})
        bpy.app.timers.register(lambda: _redraw_after(is_compiling), first_interval=_POLL, persistent=True)


def register():
    """Compiles ahead, soon, where there is a window."""
    atexit.register(make_room)
    if not bpy.app.background:
        bpy.app.timers.register(_begin, first_interval=_FIRST, persistent=True)


def unregister():
    """Ends it."""
    make_room()
    atexit.unregister(make_room)
    if bpy.app.timers.is_registered(_begin):
        bpy.app.timers.unregister(_begin)
