"""Real signals at real commands: they end soon, and leave all as it was. BLOCKCORE_KILLS: how often each is tried."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.commands import COMMANDS, MANY, Place

SOON = 2.0
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGKILL")
FEW = {
    *(("optimize", how) for how in SIGNALS),
    *(("view", "SIGTERM"), ("convert", "SIGHUP"), ("bridge export", "SIGKILL"), ("bridge optimize", "SIGTERM")),
    *(("bridge optimize, lit", "SIGKILL"), ("bridge blocks", "SIGINT")),
    ("bridge batch", "SIGHUP"),
}


def slowness() -> float:
    """How many times as long as by itself a process takes just now, among others."""
    began, used = time.monotonic(), time.process_time()
    while time.process_time() - used < 0.02:
        pass
    return max(1.0, (time.monotonic() - began) / (time.process_time() - used))


CASES = [(name, how) for name in COMMANDS for how in SIGNALS if MANY > 1 or (name, how) in FEW]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_a_signal_loses_nothing(name: str, how: str, placed: Callable[..., Place]) -> None:
    place, longest = placed(name, is_endless=True), COMMANDS[name].seconds
    number, chance = getattr(signal, how), random.Random(name + how)
    for _ in range(MANY):
        moment = chance.uniform(0.0, longest)
        with place.start() as process:
            place.wait_until_it_hears(process)
            time.sleep(moment)
            was_running = process.poll() is None
            began = time.monotonic()
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            took = (time.monotonic() - began) / slowness()
        when = f"{how} after {moment:.2f} s"
        assert "Traceback" not in said, f"{when}: {said}"
        while place.running() and (time.monotonic() - began) / slowness() < SOON:
            time.sleep(0.05)
        assert not place.running(), when
        place.check_outputs()
        if how != "SIGKILL" and was_running:
            assert took < SOON, when
            assert process.returncode in (128 + number, 0, -number), f"{when}: {said}"
            assert not place.left(), when
    if how == "SIGKILL":
        with place.start() as process:  # the next run
            time.sleep(longest)
            process.terminate()
            process.communicate(timeout=60)
        while place.running():
            time.sleep(0.05)
        assert not place.left()
