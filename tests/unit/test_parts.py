"""Parts that tests ask for are told by what they do: a WebGPU adapter of another backend than Vulkan is none."""

from __future__ import annotations

import sys
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
