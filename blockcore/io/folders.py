"""Folders of results: whole or not there, and replaced only where every file in them is ours and as we wrote it.

A folder carries a list of the files that were written to it and their hashes, ``.blockcore.json``. One of a version
before there were lists is known by its file names.
"""

from __future__ import annotations

import atexit
import contextlib
import fnmatch
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from blockcore.errors import BlockcoreError, quoted
from blockcore.io.files import beside, put, read_json, real_path, write_json
from blockcore.io.leftovers import fresh_folder, leftover
from blockcore.io.locks import holds, is_held, locked

LIST = ".blockcore.json"
_FORMAT = "blockcore.files"
_SYSTEMS_OWN = {".DS_Store", "Thumbs.db", "desktop.ini"}  # a file browser leaves them wherever somebody looks
_EARLIER = {
    "result.json": (
        *("map.json", "materials.npy", "visible_blocks.npy", "report.html", "viewer.html"),
        *("views/[0-9][0-9][0-9]*_*.png", "tiles/*.png"),
    ),
    "scene.json": ("arrays.npz", "targets/[0-9][0-9][0-9]*.png"),
    "metadata.json": ("images/[0-9][0-9][0-9]*.png",),
    "summary.json": ("view_[0-9][0-9][0-9]*.png",),
    "view_000.png": ("view_[0-9][0-9][0-9]*.png",),
    "report.html": (),
    "optimized.blend": (
        *("scrambled.blend", "pictures/*.png", "scene/scene.json", "scene/arrays.npz", "scene/targets/*.png"),
        *("result/*.json", "result/*.npy", "result/*.html", "result/views/*.png", "result/tiles/*.png"),
        *("scene/.blockcore.json", "result/.blockcore.json"),
    ),
}
"""What folders held before there were lists, by the file that every one of a kind has."""
_REMEDY = "choose another place, or remove it first"
_lasting = ExitStack()
_hashes: dict[tuple[Path, int, int, int, int], str] = {}
_SCRATCH, _LOCK = "blockcore-scratch-", ".lock"
BLENDERS = "blender_"
"""What the names of Blender's own temporary folders begin with."""
_MAKING = 10.0  # seconds that a process has to lock a scratch folder that it made


def check_folder(path: Path | str, marker: str) -> Path:
    """Returns where a folder of results is to be written, links followed.

    Args:
        path: the folder.
        marker: a file that every such folder has.

    Raises:
        BlockcoreError: something is there that we did not write, or that was changed since.
    """
    try:
        real = real_path(path)
        if not real.exists() and not real.is_symlink():
            return real
        if not real.is_dir():
            raise BlockcoreError(f"{path}: exists and is no folder; {_REMEDY}")
        found = dict(_found(real))
        if not found:
            return real
        if LIST in found:
            _check_listed(path, real, found)
        else:
            _check_earlier(path, found, marker)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BlockcoreError(f"{path}: cannot be looked at ({reason}); choose another place") from error
    return real


def _found(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yields all there is in a folder but folders with something in them, links not followed."""
    for root, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(root, name)
            there = path.lstat()
            is_parent = stat.S_ISDIR(there.st_mode) and any(path.iterdir())
            if not is_parent and name not in _SYSTEMS_OWN:
                yield path.relative_to(folder).as_posix(), there


def _check_listed(path: Path | str, folder: Path, found: dict[str, os.stat_result]) -> None:
    note = read_json(folder / LIST, BlockcoreError, _REMEDY)
    listed = note.get("files") if isinstance(note, dict) and note.get("format") == _FORMAT else None
    if not isinstance(listed, dict):
        raise BlockcoreError(f"{path}: its {LIST} is damaged, so what is ours is not known; {_REMEDY}")
    for name, there in found.items():
        if name == LIST:
            continue
        if name not in listed or not stat.S_ISREG(there.st_mode):
            raise BlockcoreError(f"{path}: holds {quoted(name)}, which blockcore did not write; {_REMEDY}")
        if _hash(folder / name) != listed[name]:
            raise BlockcoreError(f"{path}: its {quoted(name)} was changed since it was written; {_REMEDY}")


def _check_earlier(path: Path | str, found: dict[str, os.stat_result], marker: str) -> None:
    if marker not in found:
        raise BlockcoreError(f"{path}: exists and has no {marker}; {_REMEDY}")
    patterns = (marker, *_EARLIER.get(marker, ()))
    for name, there in found.items():
        if not stat.S_ISREG(there.st_mode) or not any(_matches(name, pattern) for pattern in patterns):
            raise BlockcoreError(f"{path}: holds {quoted(name)}, which blockcore did not write; {_REMEDY}")


def _matches(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)


def _hash(path: Path) -> str:
    """Returns a hash of a file's bytes; of one that did not change since it was last asked for, without reading it."""
    there = path.lstat()
    known = (path, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)
    if known not in _hashes:
        with path.open("rb") as file:
            _hashes[known] = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return _hashes[known]


@contextmanager
def reserved(path: Path) -> Iterator[None]:
    """Keeps other processes from writing an output, and clears away what one that was killed left beside it.

    Raises:
        Busy: another process writes it.
        BlockcoreError: nothing can be written there.
    """
    with ExitStack() as stack:
        try:
            path = real_path(path)
            _make_parents(path.parent, stack)
            stack.enter_context(locked(path.with_name(f"{beside(path)}lock"), path))
            _clear(path)
        except OSError as error:
            raise BlockcoreError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
        yield


def clear_beside(path: Path) -> None:
    """Removes what a process that was killed left beside its output, unless another one writes it now."""
    with contextlib.suppress(BlockcoreError), reserved(path):
        pass


def _make_parents(folder: Path, stack: ExitStack) -> None:
    if not folder.exists():
        if folder.parent != folder:  # a drive may not be there
            _make_parents(folder.parent, stack)
        folder.mkdir(exist_ok=True)
        stack.callback(_remove_if_empty, folder)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _clear(path: Path) -> None:
    """Takes an output that was moved aside back into its place, and removes other left-overs. Under its lock."""
    aside = path.with_name(f"{beside(path)}old")
    if aside.exists() and not path.exists():
        put(aside, path)
    for left in path.parent.glob(f"{_literal(beside(path))}*"):
        if left.name.endswith("lock"):
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


@contextmanager
def new_folder(path: Path, marker: str) -> Iterator[Path]:
    """Gives a fresh folder to fill, and puts it in the place of ``path`` once it is filled without an error.

    Args:
        path: where the folder shall be. One that we wrote, or an empty one, is replaced.
        marker: a file that every such folder has.

    Yields:
        The folder to fill, beside ``path``.

    Raises:
        BlockcoreError: ``path`` is something else, or cannot be written.
    """
    path = check_folder(path, marker)
    with reserved(path):
        try:
            with fresh_folder(path.parent, beside(path)) as fresh:
                yield fresh
                _list(fresh)
                check_folder(path, marker)  # a file may have come since
                _exchange(fresh, path)
        except OSError as error:
            raise BlockcoreError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def write_folder(path: Path, marker: str, fill: Callable[[Path], None]) -> Path:
    """Writes a folder of results that took long to find; where it cannot be written, they go to a rescue folder.

    Args:
        path: as for ``new_folder``.
        marker: as for ``new_folder``.
        fill: writes all files into the folder that it is given.

    Returns:
        Where the results are.

    Raises:
        BlockcoreError: they could not be written to ``path``; says where they are.
    """
    try:
        with new_folder(path, marker) as fresh:
            fill(fresh)
    except BlockcoreError as error:
        saved = rescue(fill)
        where = f"the result is in {saved}, since" if saved else "no other place took the result:"
        raise type(error)(f"{where} {error}") from error  # first, as a long line is cut in the middle
    return path


def rescue(fill: Callable[[Path], None]) -> Path | None:
    """Writes results to a folder of their own among temporary files, or in the user's home; None where neither can."""
    for parent in (tempfile.gettempdir, Path.home):
        folder = None
        try:
            folder = Path(tempfile.mkdtemp(prefix="blockcore-rescue-", dir=parent()))
            fill(folder)
            return folder
        except (OSError, RuntimeError, BlockcoreError):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
    return None


def _list(folder: Path) -> None:
    files = {
        name: _hash(folder / name) for name, there in _found(folder) if stat.S_ISREG(there.st_mode) and name != LIST
    }
    write_json(folder / LIST, {"format": _FORMAT, "version": 1, "files": files})


def _exchange(fresh: Path, path: Path) -> None:
    """Puts ``fresh`` into the place of ``path``; where that fails the old folder is in its place again."""
    if not path.exists():
        put(fresh, path)
        return
    aside = path.with_name(f"{beside(path)}old")
    put(path, aside)
    try:
        put(fresh, path)
    except BaseException:
        put(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Gives a folder among temporary files, removed at the end; removes those of processes that were killed.

    Raises:
        BlockcoreError: there is no room for temporary files.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(fresh_folder(Path(tempfile.gettempdir()), _SCRATCH, 0o700))
        except OSError as error:
            raise _no_room(error) from error
        stack.enter_context(_owned(folder))
        yield folder


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Says in a temporary folder whose it is, for the next run after a kill; removes those that a kill left before.

    Raises:
        BlockcoreError: there is no room for temporary files.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / _LOCK, folder))
            _remove_abandoned(folder.parent)
        except OSError as error:
            raise _no_room(error) from error
        yield


def _no_room(error: OSError) -> BlockcoreError:
    return BlockcoreError(f"temporary files: cannot be written ({error.strerror}); set TMPDIR")


def adopt(folder: Path) -> None:
    """Takes care of a temporary folder until this process ends, when whoever made it removes it.

    It goes with a signal as well, and after a kill with the next run.

    Raises:
        BlockcoreError: there is no room for temporary files.
    """
    atexit.register(end_lasting)
    _lasting.enter_context(leftover(folder))
    _lasting.enter_context(_owned(folder))


def lasting_scratch() -> Path:
    """Makes a scratch folder that stays until this process ends, unless it is removed before."""
    atexit.register(end_lasting)
    return _lasting.enter_context(scratch_folder())


def end_lasting() -> None:
    """Removes what lasts as long as the process: as it ends, or before, as long as signals are heard."""
    _lasting.close()


def in_own_scratch(path: Path) -> bool:
    """Whether a path lies in a scratch folder of this process."""
    return any(holds(parent / _LOCK) for parent in Path(os.path.realpath(path)).parents)


def _remove_abandoned(place: Path) -> None:
    for left in (*place.glob(f"{_SCRATCH}*"), *place.glob(f"{BLENDERS}*")):
        with contextlib.suppress(OSError):
            if _is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)


def _is_abandoned(scratch: Path) -> bool:
    """Whether the process that made a scratch folder is gone.

    One without a note of who holds it may just be made; one of Blender's without a note is not ours.
    """
    there, lock = scratch.lstat(), scratch / _LOCK
    if os.name != "nt" and there.st_uid != os.getuid():
        return False
    is_noted = lock.is_file() and lock.stat().st_size > 0
    is_old = scratch.name.startswith(_SCRATCH) and time.time() - there.st_mtime > _MAKING
    return (is_noted or is_old) and not is_held(lock)


def check_apart(output: Path, inputs: Iterable[Path]) -> None:
    """Checks that writing an output cannot touch what a command reads.

    Raises:
        BlockcoreError: the output is an input, lies in one that is a folder, or holds one.
    """
    mine = real_path(output)
    for given in inputs:
        theirs = real_path(given)
        if mine == theirs:
            raise BlockcoreError(f"{output}: is read and would be overwritten; choose another place")
        if theirs.is_relative_to(mine):
            raise BlockcoreError(f"{output}: holds {given}, which is read; choose another place")
        if mine.is_relative_to(theirs):
            raise BlockcoreError(f"{output}: lies inside {given}, which is read; choose another place")
