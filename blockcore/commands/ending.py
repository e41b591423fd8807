"""How a command ends: with an exit code, and with one line where something went wrong, never with a traceback."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable

from blockcore.commands.signals import Interrupted, ending_on_signals, unheard
from blockcore.errors import BlockcoreError, Cancelled
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
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console without Unicode shows "?" instead
    try:
        with ending_on_signals():
            code = command()
            sys.stdout.flush()
            return code
    except Interrupted as stopped:
        _say(name, str(stopped), stopped.code)
        remove_leftovers()
        os._exit(stopped.code)  # an interpreter that ends properly takes seconds to leave what it loaded
    except (Cancelled, KeyboardInterrupt) as error:
        return _say(name, str(error) or "stopped; nothing was changed", _STOPPED)
    except BlockcoreError as error:
        return _say(name, str(error), BAD_INPUT)
    except BrokenPipeError:
        unheard()
        return _UNREAD
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        unheard()
        return _say(name, f"standard output: cannot be written ({error.strerror}); what was made stays", BAD_INPUT)


def _say(name: str, line: str, code: int) -> int:
    try:
        print(f"{name}: {line}", file=sys.stderr, flush=True)
    except OSError:
        unheard()
    return code
