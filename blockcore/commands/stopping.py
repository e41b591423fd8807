"""Commands that stop when standard input closes, as it does when what started them ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blockcore.machine.heard import heard


@contextmanager
def stop_requests(watch_stdin: bool) -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether somebody asked to stop by closing standard input."""
    stop = threading.Event()
    if watch_stdin:
        threading.Thread(target=_wait_for_end, args=(stop,), daemon=True).start()
    yield stop.is_set


def _wait_for_end(stop: threading.Event) -> None:
    for _ in heard():
        pass
    stop.set()
    signal.raise_signal(signal.SIGINT)  # ends what takes long between two looks at ``stop``
