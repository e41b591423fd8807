"""Processes on two hosts, each a network of its own with a cable between them, share one optimisation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from blockcore.formats.webgpu import read_map
from tests.captures import dataset_path, map_path
from tests.parts import need

ROOT = Path(__file__).parents[2]
ADDRESSES = ("10.77.20.1", "10.77.20.2")
PORT = "29512"
INPUTS = ("--map", str(map_path(4)), "--dataset", str(dataset_path(4)), "--device", "cpu", "--progress", "jsonl")
WAY = ("--method", "gradient", "--objective", "pixels")
ENDLESS = (*WAY, "--steps", "100000", "--patience", "0")


@dataclass(frozen=True)
class Host:
    """One of the two, by its number."""

    number: int
    name: str

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Starts a Python command there."""
        own = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | environment
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        words = ["ip", "netns", "exec", self.name, sys.executable, *command]
        return subprocess.Popen(words, cwd=ROOT, env=os.environ | own, **pipes)


def ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    need("namespaces")
    names = [f"blockcore{os.getpid()}{letter}" for letter in "ab"]
    cables = [f"bc{os.getpid() % 100000}{letter}" for letter in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", cables[0], "netns", names[0], "type", "veth", "peer", cables[1], "netns", names[1])
        for name, cable, address in zip(names, cables, ADDRESSES, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", cable)
            ip("-n", name, "link", "set", cable, "up")
        yield Host(0, names[0]), Host(1, names[1])
    finally:
        for name in names:
            ip("netns", "delete", name, check=False)


def ended(process: subprocess.Popen[str], seconds: float) -> str:
    """Waits for a process; returns what it said on standard error."""
    try:
        return process.communicate(timeout=seconds)[1]
    finally:
        process.kill()
        process.wait()


def test_torchrun_on_two_hosts_finds_what_one_process_finds(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    command = ("-m", "blockcore", "optimize", *INPUTS, *WAY, "--out")
    subprocess.run([sys.executable, *command, str(alone)], check=True, cwd=ROOT, capture_output=True)
    run = ("-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1")
    run += ("--master-addr", ADDRESSES[0], "--master-port", PORT)
    both = [host.start(*run, "--node-rank", str(host.number), *command, str(together)) for host in hosts]
    for process in both:
        said = ended(process, 300.0)
        assert process.returncode == 0, said
    found = [read_map(folder / "map.json").materials for folder in (alone, together)]
    np.testing.assert_array_equal(*found)
    results = [json.loads((folder / "result.json").read_text()) for folder in (alone, together)]
    assert results[0]["loss"] == pytest.approx(results[1]["loss"], rel=1e-9)
    assert results[0]["visible_blocks"] == results[1]["visible_blocks"]


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_ends_the_other_with_one_line(hosts: tuple[Host, Host], lost: int, tmp_path: Path) -> None:
    shared = {"MASTER_ADDR": ADDRESSES[0], "MASTER_PORT": PORT, "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    command = ("-m", "blockcore", "optimize", *INPUTS, *ENDLESS, "--out", str(tmp_path / "out"))
    both = [host.start(*command, **shared, RANK=str(host.number)) for host in hosts]
    try:
        first = both[0].stdout
        assert first is not None
        while json.loads(first.readline())["event"] != "step":
            pass
        both[lost].send_signal(signal.SIGKILL)
        began = time.monotonic()
        said = ended(both[1 - lost], 60.0)
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert time.monotonic() - began < 20.0
    assert both[1 - lost].returncode == 2, said
    assert said.count("\n") == 1 and "a process of torchrun was lost" in said and "start them all again" in said
    assert not (tmp_path / "out").exists()
