"""A real Blender window on a virtual screen: what a user sees, and the mouse and keyboard that he has.

Words are found on the screen by reading it (tesseract), so that a label which is cut off or hidden fails the test.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
TREE = Path(
    os.environ.get("BLOCKCORE_GUI_ROOT") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "blockcore-gui"
)
TREE = TREE.expanduser()
_ZOOMS = (
    3,
    4,
    2,
)  # the interface's letters are small for tesseract, and what it misses at one size it reads at another


@dataclass(frozen=True)
class Word:
    """A word on the screen: its text, and its centre in pixels."""

    text: str
    x: int
    y: int


class Patience:
    """Seconds to wait for something. Of a pause in which this machine did other work a moment counts and no more."""

    _MOMENT = 2.0

    def __init__(self, seconds: float) -> None:
        """Begins to wait."""
        self._left, self._last = seconds, time.monotonic()

    def is_over(self) -> bool:
        """Whether the seconds are over; is asked again and again."""
        now = time.monotonic()
        self._left -= min(now - self._last, self._MOMENT)
        self._last = now
        return self._left < 0.0


class Tree:
    """Blender's tree: runs commands in it, on files of ours.

    Attributes:
        folder: where Blender keeps its settings and the tests their files.
    """

    def __init__(self, folder: Path, python: str = "") -> None:
        """Names a folder and the engine's interpreter; without one, Blender has its own Python alone."""
        self.folder, self._python = folder, python
        (folder / "home").mkdir(parents=True, exist_ok=True)
        # What the engine needs, at the same places as outside: the project, its interpreter, the libraries of that.
        shared = {folder, PROJECT, Path(sys.prefix), Path(sys.base_prefix)} if python else {folder, HERE}
        shared |= {path.resolve() for path in shared}  # an environment may be a link
        self._shared = sorted(p for p in shared if not any(p != q and p.is_relative_to(q) for q in shared))

    def command(self, *words: str, **environment: str) -> list[str]:
        """Returns the command line that runs ``words`` in the tree."""
        own = {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder),
            "LANG": "C.UTF-8",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "BLENDER_USER_RESOURCES": str(self.folder / "blender"),
            **({"BLOCKCORE_PYTHON": self._python} if self._python else {}),
        } | environment
        outer = ["PATH=/usr/bin:/bin:/usr/games", *(f"{name}={value}" for name, value in own.items())]
        return [str(HERE / "inside.sh"), *map(str, self._shared), "--", "env", "-i", *outer, *words]

    def run(self, *words: str, seconds: float = 300.0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the tree and waits for it; standard error goes with standard output."""
        return subprocess.run(
            self.command(*words, **environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )


class Window:
    """A Blender window. A context manager: on leaving it, screen and Blender are gone.

    Attributes:
        clicks: how often the mouse was pressed so far.
        keys: how often the keyboard was.
    """

    def __init__(self, tree: Tree, pictures: Path, size: tuple[int, int] = (1600, 1000)) -> None:
        """Opens it.

        Args:
            tree: where Blender is.
            pictures: folder for the pictures of the screen.
            size: of the screen, which the window fills, in pixels.
        """
        self.tree, self.pictures, self.size = tree, pictures, size
        pictures.mkdir(parents=True, exist_ok=True)
        self._questions = Path(tempfile.mkdtemp(prefix="window-", dir=tree.folder))
        self._asked = 0
        self.clicks = self.keys = 0
        self._display_file = self._questions / "display"
        script = (
            f"Xvfb -displayfd 5 -screen 0 {size[0]}x{size[1]}x24 -nolisten tcp 5>'{self._display_file}' 2>/dev/null & "
            f"until [ -s '{self._display_file}' ]; do sleep 0.1; done; "
            f'DISPLAY=":$(cat "{self._display_file}")" exec blender "$@"'
        )
        geometry = ["-p", "0", "0", str(size[0]), str(size[1])]
        # Other work on this machine shall not count as the window's.
        words = ["nice", "-n", "-15", "bash", "-c", script, "blender", *geometry, "--python", str(HERE / "probe.py")]
        self.log = self._questions / "blender.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                tree.command(*words, BLOCKCORE_PROBE=str(self._questions)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Window:
        self.ask("answer = True", seconds=120.0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def _display(self) -> str:
        return f":{self._display_file.read_text().strip()}"

    def ask(self, code: str, seconds: float = 60.0) -> Any:
        """Runs Python code in Blender, and returns what it leaves in ``answer``."""
        self._asked += 1
        question = self._questions / f"{self._asked:04d}.fresh"
        question.write_text(code)
        question = question.replace(question.with_suffix(".py"))
        reply = question.with_suffix(".json")
        self.wait_until(reply.exists, seconds, f"an answer to {code!r}")
        said = json.loads(reply.read_text())
        assert "error" not in said, said["error"]
        return said["answer"]

    def wait_until(self, holds: Any, seconds: float, what: str) -> None:
        """Waits until ``holds()``; fails after so many seconds, or when Blender ends."""
        patience = Patience(seconds)
        while not holds():
            assert self._process.poll() is None, f"Blender ended:\n{self.log.read_text()}"
            if patience.is_over():
                self.picture("not reached")
                raise AssertionError(f"waited {seconds:.0f} s for {what}")
            time.sleep(0.05)

    def wait_for_answer(self, code: str, wanted: Any, seconds: float = 20.0) -> None:
        """Waits until Python code leaves something in ``answer``: what a click or a key led to is there soon."""
        given: list[Any] = []

        def is_there() -> bool:
            given[:] = [self.ask(code)]
            return bool(given[0] == wanted)

        try:
            self.wait_until(is_there, seconds, f"{wanted!r} of {code!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {given}") from error

    def picture(self, name: str) -> Path:
        """Takes a picture of the screen into the folder of pictures."""
        path = self.pictures / f"{name}.png"
        path.write_bytes(self._tool("import", "-window", "root", "png:-"))
        return path

    def turn(self) -> None:
        """Waits until Blender has turned twice: what mouse and keys did before has led to what it leads to."""
        for _ in range(2):
            self.ask("answer = None")

    def words(
        self, area: tuple[int, int, int, int] | None = None, runs_down: bool = False, zoom: int = _ZOOMS[0]
    ) -> list[Word]:
        """Reads the screen, or a part of it.

        Args:
            area: x, y, width and height in pixels from the top left; None for the sidebar.
            runs_down: whether the words run downwards, as those on the sidebar's tabs do.
            zoom: how much to enlarge it first.
        """
        x, y, width, height = area or self.sidebar()
        script = (
            f"import -window root -crop {width}x{height}+{x}+{y} +repage png:- | "
            f"convert - -colorspace Gray -rotate {-90 if runs_down else 0} -resize {zoom}00% "
            f"-level 45%,75% -negate png:- | "
            f"tesseract - - --psm 11 tsv 2>/dev/null"
        )
        found = []
        for row in csv.DictReader(io.StringIO(self._tool("bash", "-c", script).decode()), delimiter="\t", quoting=3):
            if row["text"] and row["text"].strip():
                across = (int(row["left"]) + int(row["width"]) // 2) // zoom
                down = (int(row["top"]) + int(row["height"]) // 2) // zoom
                if runs_down:
                    across, down = width - down, across
                found.append(Word(row["text"].strip(), x + across, y + down))
        return found

    def find(self, text: str, area: tuple[int, int, int, int] | None = None, zoom: int = _ZOOMS[0]) -> Word:
        """Finds neighbouring words on the screen; returns them with their common centre."""
        parts, words = text.split(), self.words(area, zoom=zoom)
        for i in range(len(words) - len(parts) + 1):
            run = words[i : i + len(parts)]
            if [w.text for w in run] == parts and max(w.y for w in run) - min(w.y for w in run) < 8:
                return Word(text, sum(w.x for w in run) // len(run), run[0].y)
        raise AssertionError(f"{text!r} is not on the screen; there is: {' '.join(w.text for w in words)}")

    def wait_for(self, text: str, area: tuple[int, int, int, int] | None = None, seconds: float = 30.0) -> Word:
        """Waits until words are on the screen, and returns them as ``find`` does."""
        patience = Patience(seconds)
        for zoom in itertools.cycle(_ZOOMS):
            try:
                return self.find(text, area, zoom)
            except AssertionError:
                if patience.is_over():
                    self.picture("not found")
                    raise
        raise AssertionError("not reached")

    def click(self, text: str, area: tuple[int, int, int, int] | None = None, beside: int = 0) -> None:
        """Waits for words on the screen, and clicks on them, or so many pixels to their right."""
        word = self._resting(text, area)
        self.click_at(word.x + beside, word.y)

    def _resting(self, text: str, area: tuple[int, int, int, int] | None) -> Word:
        """Waits for words, where they stay: a panel that is laid out anew moves them while they are read."""
        area = area or self.sidebar()
        for _ in range(4):
            before = self._look(area)
            word = self.wait_for(text, area)
            x, y = word.x - area[0], word.y - area[1]
            around = np.s_[max(y - 10, 0) : y + 10, max(x - 40, 0) : x + 40]
            if np.array_equal(self._look(area)[around], before[around]):
                break
        return word

    def _look(self, area: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Returns what is on a part of the screen, (H, W, 3)."""
        x, y, width, height = area
        shot = self._tool("import", "-window", "root", "-crop", f"{width}x{height}+{x}+{y}", "+repage", "ppm:-")
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))

    def open_tab(self, name: str) -> None:
        """Opens the sidebar, and clicks on one of its tabs."""
        x, y, width, height = self.view()
        self.key("n", x + width // 2, y + height // 2)
        self.wait_until(lambda: self.sidebar()[2] > 100, 10.0, "the sidebar")
        patience = Patience(30.0)
        while True:
            x, y, width, height = self.sidebar()
            words = self.words((x + width - 26, y, 26, height), runs_down=True)
            for tab in words:
                if len(tab.text) > 3 and tab.text in name:  # a letter may get lost
                    return self.click_at(tab.x, tab.y)
            if patience.is_over():
                self.picture("no tab")
                raise AssertionError(f"no tab {name!r}; there is: {' '.join(word.text for word in words)}")

    def click_at(self, x: int, y: int) -> None:
        """Moves the mouse to a place, and clicks."""
        self._click_at(x, y, 1)

    def double_click(self, text: str, area: tuple[int, int, int, int] | None = None) -> None:
        """Waits for words on the screen, and clicks on them twice."""
        word = self._resting(text, area)
        self._click_at(word.x, word.y, 2)

    def _click_at(self, x: int, y: int, times: int) -> None:
        """A button that is made anew under a mouse at rest takes no click: the mouse moves right before."""
        self.clicks += times
        there = f"mousemove {x - 1} {y} sleep 0.3 mousemove {x} {y} click --repeat {times} --delay 60 1 sleep 0.3"
        self._tool("xdotool", *there.split())

    def drag(self, x: int, y: int, to_x: int, to_y: int) -> None:
        """Moves the mouse from one place to another with its left button held down."""
        steps = [f"mousemove {x + (to_x - x) * i // 8} {y + (to_y - y) * i // 8} sleep 0.05" for i in range(9)]
        words = " ".join([*steps[:1], "mousedown 1 sleep 0.2", *steps[1:], "sleep 0.2 mouseup 1 sleep 0.3"])
        self._tool("xdotool", *words.split())

    def write(self, text: str) -> None:
        """Types a text, and Return."""
        self.type(text)
        self.press("Return")

    def type(self, text: str) -> None:
        """Types a text into what was opened last."""
        self.turn()
        self._tool("xdotool", "type", "--delay", "60", text)  # which takes all words that follow for text, too

    def scroll_down(self) -> None:
        """Turns the mouse wheel over the sidebar, to its end."""
        self._scroll("5")

    def _scroll(self, button: str) -> None:
        x, y, width, height = self.sidebar()
        place = ("mousemove", str(x + width // 3), str(y + height - 20))
        aside = ("mousemove", str(x // 2), str(y + height // 2))  # what the mouse is on is drawn in other colours
        self._tool("xdotool", *place, "sleep", "0.3", "click", "--repeat", "30", "--delay", "30", button, *aside)
        self.turn()

    def scroll_up(self) -> None:
        """Turns the mouse wheel over the sidebar, to its beginning."""
        self._scroll("4")

    def shows(self, text: str, area: tuple[int, int, int, int] | None = None) -> bool:
        """Whether words are on the screen now."""
        for zoom in _ZOOMS:
            try:
                self.find(text, area, zoom)
            except AssertionError:
                continue
            return True
        return False

    def wait_until_gone(self, text: str, area: tuple[int, int, int, int] | None = None) -> None:
        """Waits until words are no longer on the screen."""
        self.wait_until(lambda: not self.shows(text, area), 20.0, f"the end of {text!r}")

    def settled_picture(self, name: str, seconds: float = 20.0) -> Path:
        """Takes pictures until two in a row are equal; without antialiasing, which comes in several frames."""
        self.ask("bpy.context.preferences.system.viewport_aa = 'OFF'")
        self.turn()
        taken: list[bytes] = []

        def is_settled() -> bool:
            with Image.open(self.picture(name)) as picture:
                taken.append(picture.convert("RGB").tobytes())
            return len(taken) > 1 and taken[-1] == taken[-2]

        self.wait_until(is_settled, seconds, "a picture that stays")
        return self.pictures / f"{name}.png"

    def key(self, keys: str, x: int, y: int) -> None:
        """Presses keys, such as ``"ctrl+z"``, with the mouse at a place."""
        self._tool("xdotool", "mousemove", str(x), str(y))
        self.press(keys)

    def press(self, keys: str) -> None:
        """Presses keys with the mouse where it is."""
        self.keys += 1
        self._tool("xdotool", "sleep", "0.3", "key", keys, "sleep", "0.3")

    def sidebar(self) -> tuple[int, int, int, int]:
        """Returns where the 3D view's sidebar is: x, y, width and height in pixels from the top left."""
        return self.region("UI")

    def view(self) -> tuple[int, int, int, int]:
        """Returns where the 3D view itself is, without the sidebar."""
        x, y, width, height = self.region("WINDOW")
        return x, y, width - self.region("UI")[2], height

    def region(self, kind: str) -> tuple[int, int, int, int]:
        """Returns where a region of the 3D view is, as ``sidebar`` does."""
        x, y, width, height = self.ask(
            "area = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == 'VIEW_3D')\n"
            f"region = next(r for r in area.regions if r.type == {kind!r})\n"
            "answer = [region.x, region.y, region.width, region.height]"
        )
        return x, self.size[1] - y - height, width, height

    def _tool(self, *words: str) -> bytes:
        done = subprocess.run(
            self.tree.command(*words, DISPLAY=self._display), capture_output=True, timeout=120.0, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.decode(errors='replace')}"
        return done.stdout
