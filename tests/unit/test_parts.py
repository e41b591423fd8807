"""Parts that tests ask for are told by what they do: an adapter of another backend is none, nor is a broken program."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import parts


def adapter(backend: str) -> SimpleNamespace:
    found = SimpleNamespace(info={"backend_type": backend})
    return SimpleNamespace(gpu=SimpleNamespace(request_adapter_sync=lambda **_: found))


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    monkeypatch.setattr(parts, "_module", lambda name: True)
    monkeypatch.delenv("BLOCKCORE_REQUIRE", raising=False)
    parts._lacking.cache_clear()
    yield
    parts._lacking.cache_clear()


def test_a_vulkan_adapter_is_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "wgpu", adapter("Vulkan"))
    parts.need("wgpu")


@pytest.mark.parametrize("backend", ["OpenGL", "Metal", "D3D12"])
def test_another_backend_is_told_by_its_name(backend, monkeypatch):
    monkeypatch.setitem(sys.modules, "wgpu", adapter(backend))
    with pytest.raises(pytest.skip.Exception, match=f"promised for Vulkan, and the adapter is of {backend}"):
        parts.need("wgpu")
    monkeypatch.setenv("BLOCKCORE_REQUIRE", "bpy,wgpu")
    with pytest.raises(pytest.fail.Exception, match=f"promised for Vulkan, and the adapter is of {backend}"):
        parts.need("wgpu")


def test_no_adapter_says_why(monkeypatch):
    def none(**_):
        raise RuntimeError("no driver")

    monkeypatch.setitem(sys.modules, "wgpu", SimpleNamespace(gpu=SimpleNamespace(request_adapter_sync=none)))
    with pytest.raises(pytest.skip.Exception, match="no driver"):
        parts.need("wgpu")


@pytest.mark.parametrize(
    ("part", "program"),
    [
        ("node", "node"),
        ("chromium", "chromium"),
        ("chromium", "chromedriver"),
        *(("slurm", name) for name in ("munged", "slurmctld", "slurmd")),
    ],
)
def test_a_program_that_does_not_run_is_none(part: str, program: str, tmp_path: Path, monkeypatch):
    for name in ("node", "chromium", "chromedriver", "munged", "slurmctld", "slurmd", "sbatch"):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {int(name == program)}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    with pytest.raises(pytest.skip.Exception, match="does not start" if part == "chromium" else f"{program} .*code 1"):
        parts.need(part)
    (tmp_path / program).write_text("#!/bin/sh\nexit 0\n")
    parts._lacking.cache_clear()
    parts.need(part)


def test_a_blender_that_cannot_be_imported_is_none(tmp_path: Path, monkeypatch):
    (tmp_path / "bpy.py").write_text("raise ImportError('libXi.so.6: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=r"import bpy.* ends with exit code 1"):
        parts.need("bpy")
