"""Standard streams that take nothing, or not every letter: at most one line, and what was computed is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.faults.commands import COMMANDS, MANY, Place, complaints


class Fault(NamedTuple):
    """How a shell runs the command; the exit codes it may have; the one line that it says, if any."""

    shell: str
    codes: tuple[int, ...]
    says: str = ""


PLAIN = "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"
FAULTS = {
    "full output": Fault('"$@" >/dev/full', (2,), "standard output: cannot be written"),
    "full errors": Fault('"$@" 2>/dev/full', (0,)),
    "closed output": Fault('"$@" >&-', (0,)),
    "closed errors": Fault('"$@" 2>&-', (0,)),
    "all closed": Fault('"$@" <&- >&- 2>&-', (0,)),
    "nobody reads": Fault('{ "$@"; echo $? >../code; } | true; exit $(cat ../code)', (0, 141)),
    "head": Fault('{ "$@"; echo $? >../code; } | head -1; exit $(cat ../code)', (0, 141)),
    "ascii": Fault('PYTHONIOENCODING=ascii "$@"', (0,)),
    "no locale": Fault(f'{PLAIN} "$@"', (0,)),
}
FEW = {
    *(("view", fault) for fault in ("full output", "full errors", "all closed", "head", "no locale")),
    *(("bridge optimize", "nobody reads"), ("optimize", "ascii")),
}
CASES = [(name, fault) for name in COMMANDS for fault in FAULTS if MANY > 1 or (name, fault) in FEW]


@pytest.mark.parametrize(("name", "fault"), CASES)
def test_a_stream_that_takes_nothing_costs_no_result(name: str, fault: str, placed: Callable[..., Place]) -> None:
    place = placed(name)
    shell, codes, says = FAULTS[fault]
    done = place.run("sh", "-c", shell, "sh")
    assert done.returncode in codes, done.stderr
    assert says in done.stderr and len(complaints(done.stderr)) == bool(says), done.stderr
    place.check_outputs()
    assert all(place.is_new(path) for path in place.out)
    assert not place.left() and not place.running()


@pytest.mark.parametrize("fault", ["ascii", "no locale"])
def test_errors_reach_a_console_without_unicode(fault: str, placed: Callable[..., Place]) -> None:
    place = placed("view")
    place.command[-1] = "größe∞/"
    (place.folder / "größe∞").mkdir()
    done = place.run("sh", "-c", FAULTS[fault].shell, "sh")
    assert done.returncode == 2 and done.stderr.startswith("blockcore: gr") and done.stderr.count("\n") == 1
