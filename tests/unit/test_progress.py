"""Progress where no terminal is: a line now and then on standard error."""

from __future__ import annotations

from blockcore.report.events import Baking, Preview, Step
from bridge.progress import Progress


def test_a_line_comes_now_and_then(capsys):
    often, seldom = Progress(every=0.0), Progress(every=3600.0)
    for event in (Baking(3, 10, 1.0), Step(1, 20, 0.5, 1.0, 2.0, 7), Preview(1, "there")):
        often(event)
        seldom(event)
    said = capsys.readouterr()
    assert said.err == "measuring the light, face 3 of 10\nstep 1 of 20, loss 5.00e-01\n" and said.out == ""
