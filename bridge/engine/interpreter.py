# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's interpreter: finding one that has what a job needs, asking what it offers, telling how to get it."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from blockcore.errors import BackendError
from blockcore.model.settings import OptimizeSettings
from blockcore.plan import reason_for_torch
from bridge.engine.environment import absolute, checkout, process_options

CHECK_SECONDS = 120.0  # the first import of torch from a cold disk takes its time
_PYTHON = "py" if os.name == "nt" else "python3"  # what a Python that somebody installed is called
_NEEDED = ("blockcore", "numba", "numpy", "PIL", "scipy")
_PROBE = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))"


@dataclass(frozen=True)
class EngineInfo:
    """What an interpreter offers, as ``python -m blockcore info`` says it.

    Attributes:
        python: the interpreter.
        version: of blockcore.
        torch: version of torch, or None.
        device: where tensors would live.
        why_device: the reason.
        rasterizer: what would find the visible faces.
        why_rasterizer: the reason.
    """

    python: str
    version: str
    torch: str | None
    device: str
    why_device: str
    rasterizer: str
    why_rasterizer: str


GUIDANCE = ("torch", "diffusers", "transformers")
"""The modules that guidance by words needs besides."""


def find_engine(settings: OptimizeSettings | None = None, besides: Sequence[str] = ()) -> str:
    """Finds an interpreter that has blockcore and what it needs, which is torch for some settings alone.

    Looks at the environment variable BLOCKCORE_PYTHON, the project's own ``.venv``, the running interpreter, which is
    Blender's own Python where this runs in Blender, the active virtual environment, and ``python3`` and ``python`` on
    the path, in this order.

    Args:
        settings: those that it is to work with.
        besides: modules that it has to have besides.

    Raises:
        BackendError: none has; the message tells how to install it.
    """
    why = reason_for_torch(settings or OptimizeSettings())
    needed = (*_NEEDED, *(("torch",) if why else ()), *besides)
    for python in _candidates():
        if has_modules(python, needed):
            return python
    what, extra = "blockcore", "torch"
    if why:
        what = f"blockcore and torch, which {why} needs,"
    if besides:
        what, extra = "what words need", "guidance"
    raise BackendError(
        f"no Python with {what} was found; install with: {install_command(extra=extra)} "
        f"and name that Python in the add-on's preferences or in BLOCKCORE_PYTHON"
    )


def check_engine(python: str) -> EngineInfo:
    """Asks an interpreter what it offers.

    Raises:
        BackendError: it has no working blockcore; the message tells how to install it.
    """
    remedy = f"install it with: {install_command(python)}"
    try:
        answer = ask(python, "-m", "blockcore", "info", "--json", "-")
    except OSError as error:
        raise BackendError(f"{python}: cannot be started ({error.strerror}); choose another interpreter") from error
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{python}: gave no answer in {CHECK_SECONDS:.0f} s; choose another interpreter") from error
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip().splitlines()
        raise BackendError(f"{python}: has no working blockcore ({said[-1] if said else 'no message'}); {remedy}")
    try:
        told = json.loads(answer.stdout)
        libraries = told["libraries"]
        known = {field.name: told[field.name] for field in fields(EngineInfo) if field.name not in ("python", "torch")}
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError(f"{python}: has another blockcore than this one expects ({error!r}); {remedy}") from error
    return EngineInfo(python=python, torch=libraries.get("torch"), **known)


def install_command(python: str | None = None, package: Path | None = None, extra: str = "torch") -> str:
    """Returns the command that installs blockcore with an extra, ready to paste into a terminal.

    Args:
        python: the interpreter to install them for.
        package: a wheel of blockcore; by default the project's folder, or what the registry has.
        extra: its name.
    """
    words = [python or _PYTHON, "-m", "pip", "install", f"{package or checkout() or 'blockcore'}[{extra}]"]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def has_modules(python: str, modules: Sequence[str]) -> bool:
    """Returns whether an interpreter has modules."""
    if python == sys.executable:
        return all(map(importlib.util.find_spec, modules))
    try:
        return ask(python, "-c", _PROBE, *modules).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _candidates() -> list[str]:
    project, active = checkout(), os.environ.get("VIRTUAL_ENV")
    found = [
        os.environ.get("BLOCKCORE_PYTHON"),
        _environment_python(project / ".venv") if project else None,
        sys.executable if "python" in Path(sys.executable).name.lower() else None,
        _environment_python(Path(active)) if active else None,
        shutil.which("python3"),
        shutil.which("python"),
    ]
    return list(dict.fromkeys(python for python in found if python))


def _environment_python(folder: Path) -> str | None:
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return str(python) if python.is_file() else None


def ask(python: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Runs an interpreter to its end, with nothing to read and what it says kept."""
    return subprocess.run(
        [absolute(python), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=CHECK_SECONDS,
        **process_options(python),
    )
