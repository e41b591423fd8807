"""How commands tell what they do while they do it: as a bar for people, or as events for whoever started them."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from blockcore.errors import BlockcoreError, Cancelled
from blockcore.io.files import write_array
from blockcore.report.events import Done, Event, Failed, Preview, Started, Step, Stopped, line_of

if TYPE_CHECKING:
    from blockcore.descent.progress import Progress

Report = Callable[[Event], None]
_PREVIEW_SECONDS = 0.4


@contextmanager
def reporter(how: str, print_result: Callable[[Done], None]) -> Iterator[Report]:
    """Yields what events are told to.

    Args:
        how: ``"jsonl"`` (as lines of JSON), ``"bar"`` (a bar, where there is a terminal), or ``"none"``.
        print_result: says of the last event what people want to know.
    """
    if how == "jsonl":
        yield lambda event: print(line_of(event), flush=True)
    elif how == "none" or not _can_draw_a_bar():
        yield lambda event: print_result(event) if isinstance(event, Done) else None
    else:
        from tqdm import tqdm

        with tqdm(unit="step", leave=False) as bar:

            def show(event: Event) -> None:
                if isinstance(event, Started):
                    bar.total = event.steps
                elif isinstance(event, Step):
                    bar.set_postfix_str(f"loss {event.loss:.2e}", refresh=False)
                    bar.update(event.step - bar.n)
                elif isinstance(event, Done):
                    bar.close()
                    print_result(event)

            yield show


@contextmanager
def end_told(report: Report) -> Iterator[None]:
    """Tells why what is done inside ended early: it was stopped, or something is wrong."""
    try:
        yield
    except (Cancelled, KeyboardInterrupt):
        report(Stopped())
        raise
    except BlockcoreError as error:
        report(Failed(str(error)))
        raise


def silent(event: Event) -> None:
    """Says nothing, as all processes but the first do."""


class Watcher:
    """Turns progress into events, and now and then into a preview file."""

    def __init__(self, preview: Path | None, report: Report) -> None:
        self.preview, self.report = preview, report
        self.last_preview = 0.0

    def __call__(self, progress: Progress) -> None:
        """Tells of progress."""
        self.report(
            Step(
                step=progress.step,
                steps=progress.steps,
                loss=progress.loss,
                temperature=progress.temperature,
                seconds=progress.seconds,
                changed=progress.changed,
            )
        )
        now = time.monotonic()
        if self.preview is not None and now - self.last_preview >= _PREVIEW_SECONDS:
            self.last_preview = now
            write_array(self.preview, progress.materials)
            self.report(Preview(progress.step, str(self.preview)))


def _can_draw_a_bar() -> bool:
    return sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None
