"""Lets this process meet what Windows does otherwise, then runs ``python -m blockcore`` in it: for tests alone.

Not Windows: paths stay as they are here. But a file that is open cannot be renamed, replaced or removed, a pipe that a
thread waits in cannot be looked at, locks are those of ``msvcrt``, and what only POSIX has is not there.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import os
import pathlib
import select
import shutil
import signal
import sys
import threading
from types import ModuleType, SimpleNamespace

POSIX_ALONE = {
    os: "fork forkpty getuid geteuid getgid getegid getpgid killpg setsid setpriority sched_getaffinity O_NOFOLLOW "
    "O_NONBLOCK O_CLOEXEC mkfifo nice wait statvfs sysconf uname",
    signal: "SIGHUP SIGKILL SIGQUIT SIGPIPE SIGALRM SIGUSR1 SIGUSR2 SIGCHLD alarm setitimer pthread_kill "
    "pthread_sigmask",
}
MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog")
FIRST = ("asyncio", "subprocess", "tempfile", "shutil", "socket", "selectors", "ssl", "uuid", "logging", "inspect")
LIBRARIES = ("numpy", "scipy.optimize", "scipy.sparse.csgraph", "numba", "llvmlite.binding", "PIL.Image", "tqdm")
"""What finds out on import where it is, and is not of this project."""

HANDLE = 1 << 16  # of standard input, and more of the others


def is_open(path: object) -> bool:
    """Whether this process has a file open, or one in a folder."""
    name = os.path.realpath(str(path))
    for handle in pathlib.Path("/proc/self/fd").iterdir():
        try:
            opened = str(handle.readlink())
        except OSError:
            continue
        if opened == name or opened.startswith(f"{name}/"):
            return True
    return False


def guarded(function):
    """Makes a function of ``os`` refuse what is open, as it comes or as it goes."""

    def refuse(*paths, **how):
        if any(is_open(path) for path in paths if isinstance(path, str | os.PathLike)):
            raise PermissionError(13, "The process cannot access the file because it is being used", str(paths[0]))
        return function(*paths, **how)

    return refuse


def no_library(name: str, *how: object) -> None:
    """Loads none: there is no driver and no graphics card."""
    raise FileNotFoundError(2, "Could not find module", name)


class Pipe:
    """Standard input, which only one thread deals with at a time."""

    def __init__(self):
        self.read, self.busy = os.read, threading.Lock()

    def wait_and_read(self, number, most):
        if number != 0:
            return self.read(number, most)
        with self.busy:
            return self.read(number, most)

    def peek(self, handle, buffer, size, read, there, left):
        with self.busy:
            number, heard = handle.value - HANDLE, select.poll()
            heard.register(number, select.POLLIN | select.POLLHUP)
            told = dict(heard.poll(0)).get(number, 0)
            there._obj.value = bool(told & select.POLLIN)
            return not told & select.POLLHUP or bool(told & select.POLLIN)


def become_windows() -> Pipe:
    """Changes ``os`` and what else tells where this process is."""
    torch = ["torch"] if "gradient" in sys.argv else []
    for name in (*FIRST, *LIBRARIES, *torch):
        importlib.import_module(name)
    pipe, lock = Pipe(), fcntl.flock
    msvcrt = ModuleType("msvcrt")
    msvcrt.LK_NBLCK = 2
    msvcrt.locking = lambda number, mode, size: lock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    msvcrt.get_osfhandle = lambda number: number + HANDLE
    sys.modules["msvcrt"] = msvcrt
    ctypes.windll = SimpleNamespace(kernel32=SimpleNamespace(PeekNamedPipe=pipe.peek))
    ctypes.CDLL = no_library
    for name in MODULES:
        sys.modules[name] = None
    for module, names in POSIX_ALONE.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    os.read = pipe.wait_and_read
    for name in ("rename", "replace", "unlink", "remove", "rmdir"):
        setattr(os, name, guarded(getattr(os, name)))
    shutil._use_fd_functions = False
    pathlib.WindowsPath = pathlib.PosixPath
    os.name, sys.platform = "nt", "win32"
    return pipe


def main() -> int:
    """Runs a command, and once it runs looks at standard input as the loading of a library does."""
    pipe = become_windows()
    cli = importlib.import_module("blockcore.commands.cli")
    ended = threading.Event()

    def look():
        while not ended.wait(0.05):
            if not pipe.busy.acquire(timeout=2.0):
                os.write(2, b"a thread waits in standard input\n")
                os._exit(3)
            pipe.busy.release()

    threading.Thread(target=look, daemon=True).start()
    code = cli.main()
    ended.set()
    return code


if __name__ == "__main__":
    sys.exit(main())
