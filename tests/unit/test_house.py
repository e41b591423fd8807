"""The house stands as README and docs describe it: imports run one way, and nothing private crosses a room."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import blockcore
import bridge
from blockcore.machine.moved import MovedModules

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("errors", "io", "model", "formats", "machine", "ops", "voxelize", "visibility", "shading", "assignment"),
    *(
        "descent",
        "plan",
        "optimize",
        "renderer",
        "occupancy",
        "world",
        "guidance",
        "webgpu_live",
        "viewer",
        "report",
        "bench",
    ),
    *("commands", "test_render", "__main__"),
)
"""Of blockcore, from the ground up: a room imports those before it."""
GROUND = {"blockcore.machine.moved"}  # knows nothing, and keeps old names from the first import on


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yields (module, name) of all imports, also those inside functions and for type checkers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def home(module: str, name: str) -> str:
    """Returns the module that ``from module import name`` is about, which may be a module of a package."""
    path = ROOT / Path(*module.split("."), name)
    return f"{module}.{name}" if name and (path.with_suffix(".py").is_file() or path.is_dir()) else module


def test_blockcore_imports_downwards():
    wrong = []
    for module, tree in modules("blockcore"):
        if not room(module):
            continue
        for source, name in imports(tree):
            used = home(source, name)
            inside = used.startswith("blockcore.") and used not in GROUND
            if inside and ROOMS.index(room(used)) > ROOMS.index(room(module)):
                wrong.append(f"{module} imports {used}")
    assert not wrong


@pytest.mark.parametrize(("package", "barred"), [("blockcore", ("bridge", "addon", "bpy")), ("bridge", ("addon",))])
def test_packages_import_one_way(package, barred):
    wrong = [
        f"{module} imports {source}"
        for module, tree in modules(package)
        for source, _ in imports(tree)
        if source.split(".")[0] in barred
    ]
    assert not wrong


def test_modules_of_a_room_make_no_circle():
    graph = {
        module: {home(source, name) for source, name in imports(tree)} - {module}
        for package in ("blockcore", "bridge")
        for module, tree in modules(package)
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        for used in graph[module]:
            if used in graph:
                visit(used, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_no_private_name_crosses_a_room():
    wrong = [
        f"{module} takes {name} from {source}"
        for package in ("blockcore", "bridge", "addon")
        for module, tree in modules(package)
        for source, name in imports(tree)
        if name.startswith("_") and not name.startswith("__") and source.split(".")[:2] != module.split(".")[:2]
    ]
    assert not wrong


def test_few_files_stand_beside_the_rooms():
    assert len(list((ROOT / "blockcore").glob("*.py"))) <= 8


def test_old_names_are_the_moved_modules():
    import blockcore.frames
    import blockcore.webgpu

    import blockcore.shading.frames
    from blockcore import formats

    assert blockcore.frames is blockcore.shading.frames
    assert blockcore.webgpu is formats.webgpu


def test_the_version_is_written_once_and_repeated_where_blender_reads_it():
    from blockcore import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "blockcore.__version__"}
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert manifest["version"] == __version__
    assert manifest["wheels"] == [f"./wheels/blockcore-{__version__}-py3-none-any.whl"]


def test_both_packages_ship_their_types():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["*"]
    assert all((ROOT / package / "py.typed").is_file() for package in ("blockcore", "bridge"))


def test_devices_are_told_apart_in_two_rooms():
    wrong = [
        module
        for module, tree in modules("blockcore")
        if room(module) not in ("ops", "machine")
        and any(isinstance(node, ast.Attribute) and node.attr == "is_cuda" for node in ast.walk(tree))
    ]
    assert not wrong


def test_standard_input_is_read_in_one_place():
    """On Windows a thread that waits in it holds up the loading of libraries."""
    paths = [path for package in ("blockcore", "bridge", "addon") for path in (ROOT / package).rglob("*.py")]
    readers = [path.name for path in paths if "sys.stdin." in path.read_text(encoding="utf-8")]
    assert readers == ["heard.py"]


def test_what_crosses_rooms_is_seldom_a_dict_of_anything():
    paths = [path for package in ("blockcore", "bridge", "addon") for path in (ROOT / package).rglob("*.py")]
    assert sum(path.read_text(encoding="utf-8").count("dict[str, Any]") for path in paths) < 10


def test_types_of_bridge_are_checked_as_strictly_as_blockcores():
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert rules["strict"] and {"blockcore", "bridge"} <= set(rules["packages"])


def test_no_module_stands_in_the_way_of_an_old_name():
    for package in (blockcore, bridge):
        (moved,) = (f.moved for f in sys.meta_path if isinstance(f, MovedModules) and _is_of(f, package.__name__))
        folder = Path(package.__file__).parent
        names = [old.partition(".")[2] for old in moved]
        assert names and not [n for n in names if (folder / n).exists() or (folder / f"{n}.py").exists()]


def _is_of(finder: MovedModules, package: str) -> bool:
    return next(iter(finder.moved)).startswith(f"{package}.")
