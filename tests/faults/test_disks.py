"""Disks that are full, read-only or gone: one line, the old output whole, and what was computed in a rescue folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from blockcore.io.files import BESIDE
from tests.faults.commands import COMMANDS, MANY, Place, complaints
from tests.parts import lack

FREE = (*range(0, 64, 16), *range(64, 4096, 64))
"""KiB that are free on the disk; a command is tried with more until it succeeds."""
SPARSE = (*range(0, 64, 16), *range(64, 512, 64), *range(512, 4096, 256))
"""The same for commands that start Blenders and engines, which take ten seconds a try."""
SLOW = 6.0
FINDS = ("optimize", "bridge optimize", "bridge optimize, lit", "bridge blocks")
"""Commands that find something, which goes to a rescue folder where the outputs' disk takes no more."""
NAMES = [name for name in COMMANDS if MANY > 1 or name in ("bridge export", "convert")]
ON_DISK = """
disk=$1 fault=$2 before=$1.before after=$1.after; shift 2
cp -a "$disk" "$before"
mount -t tmpfs -o size=32m tmpfs "$disk" && cp -a "$before/." "$disk" && cd "$here"
case $fault in
gone)
  "$@" & running=$!
  until ls -A | grep -q blockcore-lock || ! kill -0 $running; do sleep 0.02; done
  umount --lazy "$disk"
  wait $running; code=$?; rm -rf "$before"; exit $code ;;
read-only) mount -o remount,ro "$disk" ;;
*)
  rest=$(df -k --output=avail "$disk" | tail -n 1)
  head -c $(((rest - fault) * 1024)) /dev/zero >"$disk/.ballast" ;;
esac
"$@"; code=$?
rm -f "$disk/.ballast"
cp -a "$disk" "$after" && cd / && umount "$disk" && rm -rf "$disk" && mv "$after" "$disk"
rm -rf "$before"
exit $code
"""


@pytest.fixture(scope="module", autouse=True)
def mounts() -> None:
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        lack("mounts", "a disk of its own needs the right to mount one")


def on_disk(place: Place, disk: Path, fault: object) -> subprocess.CompletedProcess[str]:
    """Runs a command with one of its folders on a disk of its own, with so many KiB free or another fault."""
    how = ("unshare", "--mount", "--propagation", "private", "env", f"here={place.folder}", "sh", "-c", ON_DISK, "sh")
    return place.run(*how, str(disk), str(fault))


def check_refusal(place: Place, done: subprocess.CompletedProcess[str]) -> bool:
    """One line, exit code 2, the old output, nothing beside it, and results where the line says, if it does."""
    said = complaints(done.stderr)
    assert done.returncode == 2 and len(said) == 1 and len(said[0]) < 330, done.stderr
    place.check_outputs()
    if " is in " in done.stderr:
        saved = Path(said[0].partition(" is in ")[2].partition(", since ")[0])
        assert any(saved.iterdir())
        shutil.rmtree(saved)
    assert not place.left()
    return " is in " in done.stderr


@pytest.mark.parametrize("which", ["outputs", "temporary"])
@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_takes_nothing_away(name: str, which: str, placed: Callable[..., Place]) -> None:
    place = placed(name)
    disk = place.folder if which == "outputs" else place.temporary
    tries = SPARSE if COMMANDS[name].seconds >= SLOW else FREE
    rescued = []
    for free in tries if MANY > 1 else (0, tries[-1]):
        done = on_disk(place, disk, free)
        if done.returncode == 0:
            break
        rescued.append(check_refusal(place, done))
        print(f"{free} KiB: {done.stderr.strip()}")
    assert done.returncode == 0
    place.check_outputs()
    assert all(place.is_new(path) for path in place.out) and not place.left()
    assert any(rescued) or MANY == 1 or which == "temporary" or name not in FINDS


KERNEL = """

from blockcore.machine.compiled import kernel
half = kernel(lambda value: value / 2)
assert half(3.0) == 1.5 and half.stats.cache_misses
"""


def test_a_kernel_that_cannot_be_kept_is_used(placed: Callable[..., Place]) -> None:
    place = placed("optimize")
    (place.folder / "half.py").write_text(KERNEL)
    place.command = [sys.executable, "half.py"]
    place.environment["NUMBA_CACHE_DIR"] = str(place.cache)
    for free in (0, 4, 8):
        done = on_disk(place, place.cache, free)
        assert done.returncode == 0 and not complaints(done.stderr), done.stderr
    assert not list(place.cache.rglob("*.tmp*"))


@pytest.mark.parametrize("name", ["optimize", "bridge optimize, lit"] if MANY > 1 else [])
def test_a_cache_that_is_full_costs_no_result(name: str, placed: Callable[..., Place]) -> None:
    place = placed(name)
    place.environment["NUMBA_CACHE_DIR"] = str(place.cache)
    for free in (0, 16, 128):
        done = on_disk(place, place.cache, free)
        assert done.returncode == 0 and not complaints(done.stderr), done.stderr
        assert all(place.is_new(path) for path in place.out) and not place.left()
    assert not [path for path in place.cache.rglob("*") if BESIDE in path.name or ".tmp" in path.name]


@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_cannot_be_written_is_one_line_before_any_work(name: str, placed: Callable[..., Place]) -> None:
    place = placed(name)
    done = on_disk(place, place.folder, "read-only")
    check_refusal(place, done)
    assert "Read-only file system" in done.stderr and " is in " not in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_vanishes_takes_no_result_with_it(name: str, placed: Callable[..., Place]) -> None:
    place = placed(name)
    done = on_disk(place, place.folder, "gone")
    if done.returncode:
        check_refusal(place, done)
    else:
        place.check_outputs()
