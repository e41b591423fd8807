"""Holds every case of damage to a memory that a small file has no business to exceed, and every test to a time."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY, SECONDS = 2 << 30, 300


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    """Lets a test map 2 GiB more than its process holds already, and run for 300 seconds of the processor's time."""

    def stop(*_: object) -> None:
        pytest.fail(f"took more than {SECONDS} s of the processor's time")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
