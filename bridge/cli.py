# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the bridge: ``python -m bridge``, where bpy is installed, or the same inside Blender.

Inside Blender the arguments follow ``--``, and a command that reads a .blend may do without one: it takes the open
file::

    blender -b X.blend --python-expr "import sys, bridge.cli; sys.exit(bridge.cli.main())" -- export --out SCENE_DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from blockcore.commands.ending import run_safely
from blockcore.commands.outputs import BY_NAME, FILE, LOOSE, outputs
from blockcore.errors import SettingsError
from bridge.elsewhere import HELP, OPTION, run_elsewhere, split_blender, told_reader

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from blockcore.io.files import Json
    from blockcore.model.palette import Palette
    from blockcore.model.scene import BlockScene
    from blockcore.model.settings import OptimizeSettings
    from bridge.engine.lit import LitRun
    from bridge.engine.optimize import Engine
    from bridge.job import Job

_OUTPUTS = {
    "export": {"out": "scene.json"},
    "bake": {"out": "scene.json"},
    "optimize": {"out": FILE, "report": "result.json", "export": BY_NAME},
    "dream": {"out": FILE, "report": "result.json", "export": BY_NAME},
    "blocks": {"out": FILE, "export": BY_NAME, "report": "result.json"},
    "targets": {"out": FILE, "pictures": "000.png"},
    "batch": {"out": LOOSE},
    "demo": {"out": "optimized.blend"},
    "quality": {"out": "figures.json"},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments; those of the process if None, or those after ``--`` where there is one.

    Returns:
        The exit code: 0, 2 for bad input, 130 when cancelled, 128 and its number for a signal.
    """
    if argv is None:
        argv = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    words = argv
    return run_safely("bridge", lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    from bridge.blender.starting import open_blend, start_blender

    other, words = split_blender(words)
    if other is not None:
        return run_elsewhere(other, words)
    args = _parsed(words)
    if "blend" in args and args.blend is None:
        args.open = open_blend()
    kinds = _OUTPUTS.get(args.command, {"out": FILE})
    with outputs(args, kinds):
        if args.command != "batch":  # which has Blenders that work for it
            start_blender()
        code = args.run(args) or 0
        _tell_reader(args)
        return code


def _tell_reader(args: argparse.Namespace) -> None:
    """Says which Blenders open a .blend that was written for a person."""
    is_blend = args.command == "demo" or str(getattr(args, "out", "")).endswith(".blend")
    for_program = getattr(args, "json", None) or getattr(args, "progress", "none") != "none"
    if is_blend and not for_program and not getattr(args, "dry_run", None):
        import bpy

        told = told_reader(bpy.app.version)
        if told:
            print(f"{args.out}: {told}")


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    return _parser(words).parse_args(words)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    from blockcore.commands.arguments import add_dry_run, add_export
    from blockcore.commands.dream import add_dream
    from bridge.blocks import add_blocks_command, add_blocks_options
    from bridge.farm.command import add_batch_command
    from bridge.farm.worker import serve
    from bridge.rendering import add_targets_command

    parser = argparse.ArgumentParser(prog="python -m bridge", description="Blender scenes to blockcore and back.")
    parser.add_argument(OPTION, metavar="PROGRAM", help=HELP)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("import-map", help="make a .blend of a WebGPU map and its captures")
    command.add_argument("map", type=Path, metavar="MAP_JSON", help="the map")
    command.add_argument("--dataset", type=Path, metavar="DIR", help="its posed captures, which become cameras")
    command.add_argument("--scramble", type=int, metavar="SEED", help="give every block a random material")
    _add_out(command, "X.blend")
    command.set_defaults(run=_import_map)

    command = commands.add_parser("export", help="write the blocks and cameras of a .blend as a BlockScene folder")
    _add_scene(command)
    _add_out(command, "SCENE_DIR")
    command.set_defaults(run=_export)

    command = commands.add_parser("optimize", help="find the materials of a .blend's blocks")
    _add_blend(command)
    _add_out(command, "Y.blend", required=False)
    command.add_argument("--report", type=Path, metavar="DIR", help="keep the engine's result folder")
    _add_optimize_options(command)
    add_export(command)
    add_dry_run(command)
    command.set_defaults(run=_optimize)

    command = commands.add_parser("dream", help="find materials of a .blend's blocks that look like words say")
    _add_scene(command, cameras=False)
    _add_in_place(command)
    add_dream(command)
    command.add_argument("--engine", metavar="PYTHON", help="interpreter with blockcore[guidance] (default: found)")
    _add_out(command, "Y.blend")
    command.add_argument("--report", type=Path, metavar="DIR", help="keep the engine's result folder")
    add_export(command)
    command.set_defaults(run=_dream)

    command = commands.add_parser("apply", help="put a result folder's materials on a .blend's blocks")
    _add_scene(command, cameras=False)
    command.add_argument("result", type=Path, metavar="RESULT_DIR", help="what optimize wrote")
    _add_in_place(command)
    text = "show one mesh of the faces that show, as optimize does (default: an instance of a cube for each block)"
    command.add_argument("--mesh", action="store_true", help=text)
    _add_out(command, "Y.blend")
    command.set_defaults(run=_apply)

    command = commands.add_parser("demo", help="the whole way once: a scrambled village, optimised from its captures")
    command.add_argument("--map", type=Path, metavar="MAP_JSON", help="another map (default: the village)")
    command.add_argument("--dataset", type=Path, metavar="DIR", help="that map's captures")
    command.add_argument("--scramble", type=int, default=0, metavar="SEED", help="seed of the scrambling (default: 0)")
    command.add_argument("--engine", metavar="PYTHON", help="interpreter with blockcore and torch (default: found)")
    _add_out(command, "DIR")
    command.set_defaults(run=_demo)

    command = commands.add_parser("bake", help="measure the light of a .blend on a BlockScene's blocks, with Cycles")
    command.add_argument("blend", type=Path, metavar="X.blend", help="the file; it is only read")
    command.add_argument("--scene", type=Path, required=True, metavar="SCENE_DIR", help="its blocks, from export")
    command.add_argument("--bounce", type=Path, metavar="FILE.npy", help="materials whose colours bounce")
    _add_out(command, "SCENE_DIR")
    command.set_defaults(run=_bake)

    add_blocks_command(commands)
    add_targets_command(commands)
    add_batch_command(commands, words, {"optimize": _add_optimize_options, "blocks": add_blocks_options})
    command = commands.add_parser("batch-worker")
    command.set_defaults(run=partial(serve, _parsed))

    command = commands.add_parser("quality", help="compare blocks with peers' as Cycles shows them; takes minutes")
    _add_out(command, "DIR")
    command.set_defaults(run=_quality)
    return parser


def _add_optimize_options(command: argparse.ArgumentParser) -> None:
    from blockcore.commands.arguments import add_settings

    _add_choice(command)
    _add_in_place(command)
    command.add_argument(
        "--job",
        type=Path,
        metavar="JOB_JSON",
        help="all of these as the panel saved them (default: as the file says)",
    )
    command.add_argument("--add-light", action="store_true", help="with --lighting fitted: put it in as sun and world")
    command.add_argument("--engine", metavar="PYTHON", help="interpreter with blockcore and torch (default: found)")
    add_settings(command)


def _add_scene(command: argparse.ArgumentParser, cameras: bool = True) -> None:
    _add_blend(command)
    _add_choice(command, cameras)


def _add_blend(command: argparse.ArgumentParser) -> None:
    command.add_argument("blend", type=Path, nargs="?", metavar="X.blend", help="the file (default: the open one)")


def _add_choice(command: argparse.ArgumentParser, cameras: bool = True) -> None:
    command.add_argument("--blocks", metavar="NAME", help="collection or object that holds the blocks (default: found)")
    told = "materials; 'own' for those that the .blend's panel keeps (default: the scene's)"
    command.add_argument("--palette", type=Path, metavar="FILE.json", help=told)
    command.add_argument("--as-boxes", action="store_true", help="take any mesh as the box around it")
    if cameras:
        command.add_argument("--camera", action="append", metavar="NAME", help="use this camera; may be given again")


def _add_in_place(command: argparse.ArgumentParser) -> None:
    command.add_argument("--in-place", action="store_true", help="give the scene's own cubes the materials")


def _add_out(command: argparse.ArgumentParser, metavar: str, required: bool = True) -> None:
    command.add_argument("--out", type=Path, required=required, metavar=metavar, help="where to write")


def _import_map(args: argparse.Namespace) -> None:
    from blockcore.formats.webgpu import read_scene
    from bridge.blender.build import build
    from bridge.blender.demonstration import scrambled
    from bridge.blender.files import new_file, save_file

    scene = read_scene(args.map, args.dataset)
    if args.scramble is not None:
        scene = scrambled(scene, args.scramble)
    new_file()
    build(scene)
    save_file(args.out)
    print(f"{args.out}: {len(scene.grid)} blocks, {len(scene.views)} cameras")


def _export(args: argparse.Namespace) -> None:
    _open(args)
    scene = _extract(args)
    scene.write(args.out)
    print(f"{args.out}: {len(scene.grid)} blocks, {len(scene.views)} views")


def _optimize(args: argparse.Namespace) -> None:
    import bpy

    from blockcore.commands.arguments import export_all
    from blockcore.io.folders import scratch_folder
    from blockcore.model.baked_light import BakedLight
    from blockcore.report.metrics import decibel
    from bridge.blender.apply import check, map_of
    from bridge.blender.files import save_file
    from bridge.engine.optimize import find_materials, told_plan
    from bridge.job import told_settings
    from bridge.progress import Progress

    told_settings(args)  # what is wrong on the command line itself comes before the file
    if args.out is None and not args.dry_run:
        raise SettingsError("--out Y.blend is missing; name the file to write")
    noted = _open(args)
    settings = told_settings(args, noted)
    if args.add_light and settings.lighting != "fitted":
        raise SettingsError("--add-light puts in a light that was found; add --lighting fitted")
    scene = _extract(args, noted, bake=False)
    if args.dry_run:
        print(told_plan(scene, settings, args.dry_run, args.engine))
        return
    check(scene, args.in_place and map_of(scene) is None)
    with scratch_folder() as folder:
        begin = None
        if isinstance(scene.lighting, BakedLight) and settings.lighting == "scene":
            copy = folder / "copy.blend"
            save_file(copy)
            begin = partial(_start_lit, bpy.app.binary_path, copy, settings, args.engine)
        materials, done = find_materials(scene, settings, args.engine, args.report, Progress(), begin)
    found = scene.with_materials(materials)
    if noted is not None:
        print("blocks and settings: those that the file's panel says, but for what this command line does")
    if args.add_light:
        _add_light(found, done.result.lighting)
    _put_back(args, found)
    export_all(args.export, found)
    result = done.result
    print(f"light: {result.light}")
    print(f"{result.visible_blocks} of {result.blocks} blocks are visible; {done.seconds:.1f} s")
    print(f"PSNR {decibel(result.psnr_before)} before, {decibel(result.psnr_after)} after")
    if args.report:
        print(f"report: {args.report / 'report.html'}")


def _dream(args: argparse.Namespace) -> None:
    from blockcore.commands.arguments import export_all
    from blockcore.commands.dream import dream_words
    from blockcore.model.settings import OptimizeSettings
    from bridge.blender.apply import check, map_of
    from bridge.engine.optimize import find_materials, start_dream
    from bridge.progress import Progress

    keep = args.out.with_name(f"{args.out.name}.dream")
    words = [*dream_words(args), f"--keep={keep.resolve()}"]
    _open(args)
    scene = _extract(args)
    check(scene, args.in_place and map_of(scene) is None)
    # What the blocks' own materials reflect is in the light that Cycles measured; it is measured once.
    materials, done = find_materials(
        scene,
        OptimizeSettings(),
        out=args.report,
        watch=Progress(),
        begin=lambda folder, out: start_dream(folder / "scene", out, words, args.engine),
    )
    found = scene.with_materials(materials)
    _put_back(args, found)
    export_all(args.export, found)
    result = done.result
    print(f"{result.visible_blocks} of {result.blocks} blocks were seen in {result.steps} steps; {done.seconds:.0f} s")


def _add_light(scene: BlockScene, lighting: Json) -> None:
    from blockcore.model.baked_light import light_from
    from blockcore.model.lighting import Lighting
    from bridge.blender.sunlight import add_light

    light = light_from(lighting, {})
    if isinstance(light, Lighting) and scene.source is not None:
        add_light(light, scene.source.grid_to_source)


def _start_lit(
    blender: str, blend: Path, settings: OptimizeSettings, engine: Engine, folder: Path, out: Path
) -> LitRun:
    from bridge.engine.baker import start_lit
    from bridge.engine.optimize import start

    return start_lit(blender, blend, folder, out, lambda lit: start(lit, out, settings, engine))


def _bake(args: argparse.Namespace) -> None:
    from bridge.blender.measuring import measure

    measure(args.blend, args.scene, args.out, args.bounce or args.out / "bounce.npy")


def _apply(args: argparse.Namespace) -> None:
    _open(args)
    scene = _extract(args)
    _put_back(args, scene.with_materials(_materials_of(args.result, scene)), as_mesh=args.mesh)


def _demo(args: argparse.Namespace) -> None:
    from blockcore.io.folders import new_folder
    from bridge.blender.demonstration import VILLAGE, demonstrate, summary

    if (args.map is None) != (args.dataset is None):
        raise SettingsError("--map and --dataset go together; give both, or neither for the village")
    map_path, dataset = (args.map, args.dataset) if args.map else (VILLAGE / "map.json", VILLAGE / "dataset")
    with new_folder(args.out, _OUTPUTS["demo"]["out"]) as fresh:
        found = demonstrate(fresh, args.out, map_path, dataset, args.scramble, args.engine)
    print(summary(found, args.out))


def _quality(args: argparse.Namespace) -> None:
    from blockcore.io.folders import new_folder
    from bridge.blender.quality import lines, measure_quality

    with new_folder(args.out, _OUTPUTS["quality"]["out"]) as fresh:
        for group, name, found in measure_quality(fresh):
            print("\n".join([f"{group}: {name}", *lines(found)]), flush=True)


def _open(args: argparse.Namespace) -> Job | None:
    """Opens the .blend; returns what its panel says, where that counts and is there."""
    import bpy

    from bridge.blender.files import open_file
    from bridge.blender.noted_job import noted_job

    if args.blend is not None:
        open_file(args.blend)
    elif not bpy.data.filepath:
        raise SettingsError("no .blend is open; name the file to read")
    return noted_job(bpy.context.scene) if getattr(args, "job", None) is None else None


def _extract(args: argparse.Namespace, noted: Job | None = None, bake: bool = True) -> BlockScene:
    """Reads the open scene as the job that is named says, or the command line; of what neither does, the noted job."""
    from bridge.blender import jobs
    from bridge.blender.extract import extract, find_camera, find_source
    from bridge.job import Job

    if getattr(args, "job", None) is not None:
        return jobs.read_scene(Job.read(args.job))
    palette, as_boxes = _palette(args.palette), args.as_boxes
    if "camera" not in args:
        return extract(find_source(args.blocks), (), palette, need_targets=False, bake=False, as_boxes=as_boxes)
    cameras = [find_camera(name) for name in args.camera] if args.camera else None
    if noted is None:
        return extract(find_source(args.blocks), cameras, palette, bake=bake, as_boxes=as_boxes)
    source = find_source(args.blocks) if args.blocks else jobs.source_of(noted)
    palette, cameras = palette or jobs.palette_of(noted), cameras or jobs.cameras_of(noted)
    return extract(source, cameras, palette, bake=bake, as_boxes=as_boxes or noted.as_boxes)


def _palette(path: Path | None) -> Palette | None:
    from bridge.blender.own_palette import named_palette

    return None if path is None else named_palette(path)


def _put_back(args: argparse.Namespace, scene: BlockScene, as_mesh: bool = True) -> None:
    from bridge.blender.apply import apply, apply_in_place, map_of
    from bridge.blender.files import save_file
    from bridge.blender.world import fill_world
    from bridge.blender.world_nodes import show_instances

    block_map = map_of(scene) if args.in_place else None
    if block_map is not None:
        fill_world(block_map, scene)
    elif args.in_place:
        apply_in_place(scene)
    else:
        world = apply(scene)
        if not as_mesh:
            show_instances(world)
    save_file(args.out)
    print(f"{args.out}: {len(scene.grid)} blocks")


def _materials_of(folder: Path, scene: BlockScene) -> npt.NDArray[np.int32]:
    """Reads the materials in a result folder, in the order of a scene's blocks."""
    import numpy as np

    from blockcore.errors import MapError
    from blockcore.formats.webgpu import read_map

    found = read_map(folder / "map.json", scene.palette)
    mine, theirs = (np.lexsort(grid.positions.T) for grid in (scene.grid, found.grid))
    if found.grid.size != scene.grid.size or not np.array_equal(
        scene.grid.positions[mine], found.grid.positions[theirs]
    ):
        raise MapError(f"{folder / 'map.json'}: its blocks are not those of this scene; optimise the scene again")
    materials = np.empty(len(scene.grid), dtype=np.int32)
    materials[mine] = found.materials[theirs]
    return materials
