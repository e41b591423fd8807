"""System parts are told by what they do; each is tried with and without."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools import system_libraries
from tools.system_libraries import PARTS, Part, main


@pytest.fixture
def apt(monkeypatch):
    """Records what would be installed; whatever is asked for works afterwards."""
    ran: list[list[str]] = []

    def run(command, **how):
        ran.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(system_libraries.subprocess, "run", run)
    monkeypatch.setattr(system_libraries.os, "geteuid", lambda: 0)
    monkeypatch.setattr(system_libraries.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(sys, "platform", "linux")
    return ran


@pytest.mark.parametrize("name", sorted(PARTS))
def test_nothing_is_installed_where_every_part_works(name, apt, monkeypatch):
    monkeypatch.setitem(PARTS, name, tuple(Part(part.packages, lambda: True) for part in PARTS[name]))
    assert main([name]) == 0
    assert not apt


@pytest.mark.parametrize(("name", "index"), [(name, i) for name in sorted(PARTS) for i in range(len(PARTS[name]))])
def test_the_packages_of_a_part_that_does_not_work_are_installed(name, index, apt, monkeypatch):
    missing = PARTS[name][index].packages
    parts = [Part(part.packages, lambda: True) for part in PARTS[name]]
    parts[index] = Part(missing, lambda: any(command[1] == "install" for command in apt))
    monkeypatch.setitem(PARTS, name, tuple(parts))
    assert main([name]) == 0
    assert apt[-1][-len(missing) :] == list(missing)


def test_what_still_does_not_work_after_installing_is_an_error(apt, monkeypatch, capsys):
    monkeypatch.setitem(PARTS, "webgpu", (Part(("libvulkan1",), lambda: False),))
    assert main(["webgpu"]) == 2
    assert "libvulkan1" in capsys.readouterr().err


def test_without_root_it_says_what_to_install(apt, monkeypatch, capsys):
    monkeypatch.setattr(system_libraries.os, "geteuid", lambda: 1000)
    monkeypatch.setitem(PARTS, "webgpu", (Part(("libvulkan1",), lambda: False),))
    assert main(["webgpu"]) == 2
    assert "sudo apt-get install libvulkan1" in capsys.readouterr().err
    assert not apt


def test_a_loader_without_a_driver_is_no_webgpu(monkeypatch):
    (part,) = PARTS["webgpu"]
    monkeypatch.setenv("VK_DRIVER_FILES", "/nowhere.json")
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nowhere.json")
    assert not part.works()


def test_a_library_that_is_not_there_is_missing():
    assert not system_libraries._loads("libnothing-of-the-kind.so.1")()
    assert system_libraries._loads("libc.so.6")()


def test_a_browser_that_does_not_start_is_missing(tmp_path, monkeypatch):
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not PARTS["browser"][0].works()
