"""How a command ends: with an exit code, and with one line where something went wrong, never with a traceback."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from blockcore.commands.signals import Interrupted, ending_on_signals
from blockcore.commands.streams import steady_streams
from blockcore.errors import BlockcoreError, Cancelled
from blockcore.io.folders import end_lasting
from blockcore.io.leftovers import remove_leftovers

BAD_INPUT = 2
_UNREAD = 128 + getattr(signal, "SIGPIPE", 13)
_STOPPED = 128 + signal.SIGINT
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


def run_safely(name: str, command: Callable[[], int]) -> int:
    """Runs a command.

    Args:
        name: what its lines on standard error begin with.
        command: what to run; gives the exit code where all went well.

    Returns:
        The exit code: that of the command, 2 for bad input or a disk that takes nothing, 130 when cancelled, 128 and
        its number for a signal, also that of a pipe that nobody reads.
    """
    with steady_streams() as unheard:
        code = _run(name, command)
        problem = unheard()
        if problem is None:
            return code
        if isinstance(problem, BrokenPipeError):
            return _UNREAD
        return _say(name, f"standard output: cannot be written ({problem.strerror}); what was made stays", BAD_INPUT)


def end_process(program: Callable[[], int]) -> NoReturn:
    """Runs a program and ends the process with its exit code; a signal is heard until nothing temporary is left."""
    try:
        with steady_streams(), ending_on_signals():
            code = program()
            end_lasting()
    except Interrupted as stopped:
        remove_leftovers()
        os._exit(stopped.code)
    sys.exit(code)


def _run(name: str, command: Callable[[], int]) -> int:
    try:
        with ending_on_signals():
            return command()
    except Interrupted as stopped:
        _say(name, str(stopped), stopped.code)
        remove_leftovers()
        os._exit(stopped.code)  # an interpreter that ends properly takes seconds to leave what it loaded
    except (Cancelled, KeyboardInterrupt) as error:
        return _say(name, str(error) or "stopped; nothing was changed", _STOPPED)
    except BlockcoreError as error:
        return _say(name, str(error), BAD_INPUT)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.filename is None:  # of os.getcwd
            return _say(name, "the working folder: is gone; run it from another one", BAD_INPUT)
        if error.errno not in _FULL:
            raise
        return _say(name, f"{error.filename or 'a file'}: cannot be written ({error.strerror}); make room", BAD_INPUT)


def _say(name: str, line: str, code: int) -> int:
    print(f"{name}: {line}", file=sys.stderr, flush=True)
    return code
