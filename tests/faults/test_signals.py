"""Real signals at real commands: they end soon, and leave all as it was. BLOCKCORE_KILLS: how often each is tried."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.test_readers import small_scene

KILLS = int(os.environ.get("BLOCKCORE_KILLS", "1"))
SOON = 2.0
COMMANDS = {
    "optimize": ["optimize", "--method", "gradient", "--objective", "pixels", "--steps", "20000", "--patience", "0"],
    "view": ["view"],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"])
def test_a_signal_loses_nothing(name: str, how: str, tmp_path: Path) -> None:
    small_scene().write(tmp_path / "scene")
    out = tmp_path / "out"
    arguments = [*COMMANDS[name], "--scene", str(tmp_path / "scene"), "--out", str(out)]
    number, chance = getattr(signal, how), random.Random(name + how)
    for _ in range(KILLS):
        command = [sys.executable, "-m", "blockcore", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            time.sleep(chance.uniform(1.5, 5.0))
            was_running = process.poll() is None
            began = time.monotonic()
            process.send_signal(number)
            _, said = process.communicate(timeout=30)
            took = time.monotonic() - began
        if not was_running:
            continue
        assert "Traceback" not in said, said
        if how != "SIGKILL":
            assert took < SOON
            assert process.returncode in (128 + number, 0, -number)
            assert sorted(p.name for p in tmp_path.iterdir() if p != out) == ["scene"]
    if how == "SIGKILL":
        small = [sys.executable, "-m", "blockcore", "view", "--scene", str(tmp_path / "scene"), "--out", str(out)]
        assert subprocess.run(small, check=False, stdout=subprocess.DEVNULL).returncode == 0
        assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "scene"]
