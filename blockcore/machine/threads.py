"""Threads for kernels that release the interpreter's lock: a ``map`` that never waits for a thread to wake up."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any


def thread_count() -> int:
    """Returns how many threads can run at a time here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(function: Callable[..., Any], *arguments: Sequence[Any], threads: int | None = None) -> list[Any]:
    """Works like ``map``, on this thread and on as many others as get going before the work is done.

    Args:
        function: what to call; releases the lock for most of its time.
        arguments: sequences of equal length, one item each a call.
        threads: how many run at most, this one included; ``thread_count()`` if None.

    Returns:
        The results, in order.
    """
    count = len(arguments[0])
    results: list[Any] = [None] * count
    todo = iter(range(count))

    def work() -> None:
        for i in todo:
            results[i] = function(*(argument[i] for argument in arguments))

    threads = threads or thread_count()
    helping = [_helpers(threads - 1, os.getpid()).submit(work) for _ in range(min(threads, count) - 1)]
    work()
    for helper in helping:
        if not helper.cancel():
            helper.result()
    return results


@cache
def _helpers(threads: int, process: int) -> ThreadPoolExecutor:
    """Returns this process's idle threads: starting them takes longer than drawing a small view."""
    return ThreadPoolExecutor(threads)
