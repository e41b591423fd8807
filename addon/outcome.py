# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ended: putting its materials into the scene, taking them back, and the note of it that a .blend keeps.

The note lies on what shows the result: the object made of it, the block map, or a reference to the cubes. So a result
can be judged, compared and taken back in the file as saved, and in one that it was appended to.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from blockcore.errors import SceneError
from blockcore.io.damage import DAMAGE
from blockcore.io.files import inside, parse_json
from blockcore.io.folders import LIST, in_own_scratch, new_folder
from blockcore.model.scene import BlockScene
from blockcore.report.summary import Summary
from bridge.blender import apply, world
from bridge.blender.references import collection_of, forget, refer, referred

_NOTE = "blockcore_outcome"
_CUBES = "blockcore_optimized_cubes"
_BEFORE, _FOUND = "blockcore_before", "blockcore_found"
NEW, MAP, CUBES = "new_object", "map", "cubes"
"""Where a result is: in an object of its own, in the block map it was made of, or on the cubes themselves."""


@dataclass
class Outcome:
    """A result, and where it is.

    Attributes:
        summary: the engine's figures.
        place: ``NEW``, ``MAP`` or ``CUBES``.
        folder: where the report is; relative to the .blend where it begins with ``//``.
        scene: what was optimised; None in a file opened since.
        materials: (N,) the materials found; None likewise.
    """

    summary: Summary
    place: str
    folder: str
    scene: BlockScene | None = None
    materials: npt.NDArray[np.int32] | None = None

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """Blocks by material, before and after, by name."""
        before, after = self.summary.materials_before, self.summary.materials
        return {name: (before.get(name, 0), after.get(name, 0)) for name in {**before, **after}}

    @property
    def changed(self) -> int:
        """How many blocks have another material than before."""
        return self.summary.changed_blocks

    @property
    def in_place(self) -> bool:
        """Whether the scene's own blocks have the materials."""
        return self.place != NEW

    @property
    def report(self) -> Path:
        """The report's page."""
        return Path(bpy.path.abspath(self.folder or "//")) / "report.html"


def place_of(scene: BlockScene, in_place: bool) -> str:
    """Returns where the result of a scene goes."""
    if not in_place:
        return NEW
    return CUBES if apply.map_of(scene) is None else MAP


def check_place(scene: BlockScene, in_place: bool) -> None:
    """Refuses a scene whose result could not be put back, before anything is searched.

    Raises:
        BlockcoreError: the scene is linked, or its blocks cannot have materials of their own.
    """
    apply.check(scene, place_of(scene, in_place) == CUBES)


def put(outcome: Outcome) -> None:
    """Shows an outcome's materials in the open scene, and notes it there.

    Raises:
        BlockcoreError: the blocks are no longer there, or cannot have materials of their own.
    """
    scene, materials, noted = outcome.scene, outcome.materials, _holder()
    if outcome.place == MAP and scene is None and noted is not None:
        world.update_materials(noted, _read(noted, _FOUND))
        _note(noted, outcome)
    elif scene is None or materials is None:
        raise SceneError("the result was taken back before the file was saved; optimize the materials again")
    else:
        _note(_PUT[outcome.place](scene, materials), outcome)


def _on_map(scene: BlockScene, materials: npt.NDArray[np.int32]) -> Any:
    """Gives the block map of a scene materials, keeps those before and after in it, and returns it."""
    shown = apply.map_of(scene)
    if shown is None:
        raise SceneError("the block map is no longer there; choose the blocks, and optimize them again")
    _write(shown, _BEFORE, scene.materials)
    _write(shown, _FOUND, materials)
    world.update_materials(shown, materials)
    return shown


def _on_cubes(scene: BlockScene, materials: npt.NDArray[np.int32]) -> Any:
    """Gives a scene's cubes materials, and returns what refers to them."""
    cubes = apply.apply_in_place(scene, materials)
    forget(bpy.context.scene, _CUBES)
    return refer(bpy.context.scene, _CUBES, cubes, "Optimized Cubes")


_PUT = {NEW: apply.apply, MAP: _on_map, CUBES: _on_cubes}
"""What gives a scene materials at each place, and returns what the note of it lies on."""


def take_back(outcome: Outcome) -> None:
    """Shows the materials from before the run again.

    Raises:
        BlockcoreError: the blocks are no longer there.
    """
    holder = _holder() or bpy.context.scene.optimize_materials.outcome_object  # the user may have deleted it
    if holder is None:
        raise SceneError("the result is no longer there; undo what removed it")
    if outcome.place == MAP:
        world.update_materials(holder, _read(holder, _BEFORE))
    elif outcome.place == CUBES:
        apply.revert_in_place(referred(bpy.context.scene, _CUBES))
        forget(bpy.context.scene, _CUBES)
    else:
        apply.revert(holder)


def can_take_back(outcome: Outcome) -> bool:
    """Returns whether there is anything to take back; where the result's object was deleted, what it hides is."""
    is_deleted = outcome.place == NEW and bpy.context.scene.optimize_materials.outcome_object is not None
    return is_deleted or is_put(outcome)


def is_put(outcome: Outcome) -> bool:
    """Returns whether the scene shows the outcome: an undo may have taken it back, or a deletion."""
    holder = _holder()
    if holder is None or outcome.place != MAP:
        return holder is not None
    return bool(np.array_equal(world.world_materials(holder), _read(holder, _FOUND)))


def shown_world() -> Any | None:
    """Returns the object that the open scene's result is, if it is one of its own."""
    holder = _holder()
    return holder if isinstance(holder, bpy.types.Object) else None


def read() -> Outcome | None:
    """Returns the outcome that is noted in the open scene, or None."""
    holder = _holder()
    try:
        note = parse_json(holder[_NOTE])
        place = note["place"] if note["place"] in (MAP, CUBES) else NEW
        return Outcome(Summary.from_dict(note["summary"]), place, _own_folder(note["folder"]))
    except (*DAMAGE, AttributeError):
        return None  # there is none, or a property of that name that somebody else wrote


def _own_folder(noted: object) -> str:
    """Returns the noted folder of a report if it lies beside the .blend or is of this session; a .blend may say any."""
    name = str(noted).removeprefix("//")
    if str(noted).startswith("//"):
        beside = inside(Path(bpy.data.filepath).parent, name) if bpy.data.filepath else None
        return f"//{name}" if beside is not None else ""
    return name if name and in_own_scratch(Path(name)) else ""


def keep_report(outcome: Outcome, file: Path) -> None:
    """Copies the report beside the .blend that is about to be saved, unless it is there already.

    Raises:
        BlockcoreError: something else is there, or it cannot be written.
    """
    folder = file.with_name(f"{file.stem} report")
    if not outcome.report.is_file() or Path(bpy.path.abspath(outcome.folder)) == folder:
        return
    save_report(outcome, folder)
    outcome.folder = f"//{folder.name}"
    holder = _holder()
    if holder is not None:
        _note(holder, outcome)


def save_report(outcome: Outcome, folder: Path) -> None:
    """Copies the result's folder, with the report, to where it stays; replaces one that is ours and nothing else.

    Raises:
        BlockcoreError: something else is there, or it cannot be written.
    """
    with new_folder(folder, "result.json") as fresh:
        copy_report(outcome, fresh)


def copy_report(outcome: Outcome, fresh: Path) -> None:
    """Copies the result's folder into one that is being made."""
    theirs = shutil.ignore_patterns(LIST)  # the copy gets one of its own
    shutil.copytree(outcome.report.parent, fresh, dirs_exist_ok=True, ignore=theirs)


@contextlib.contextmanager
def scene_of_run(scene_uid: int, layer: str) -> Iterator[None]:
    """Makes a scene the open one, wherever the user went meanwhile.

    Args:
        scene_uid: its ``session_uid``.
        layer: name of its view layer.

    Raises:
        SceneError: it is no longer there.
    """
    found = next((scene for scene in bpy.data.scenes if scene.session_uid == scene_uid), None)
    if found is None:
        raise SceneError("the scene of the blocks is no longer there; undo what removed it, and optimize again")
    with bpy.context.temp_override(scene=found, view_layer=found.view_layers.get(layer) or found.view_layers[0]):
        yield


def _note(holder: Any, outcome: Outcome) -> None:
    note = {"place": outcome.place, "folder": outcome.folder, "summary": outcome.summary.to_dict()}
    holder[_NOTE] = json.dumps(note)
    group = bpy.context.scene.optimize_materials
    group.outcome_object = holder if isinstance(holder, bpy.types.Object) else None


def _holder() -> Any | None:
    """Returns what shows the open scene's result."""
    scene = bpy.context.scene
    noted = scene.optimize_materials.outcome_object
    if noted is not None and _NOTE in noted and noted.users_scene:
        return noted
    cubes = collection_of(scene, _CUBES)
    return cubes if cubes is not None and _NOTE in cubes else None


def find_appended(scene: Any) -> None:
    """Lets a scene without a result have the one that came with an object, as from another file."""
    group = scene.optimize_materials
    if group.outcome_object is None and collection_of(scene, _CUBES) is None:
        group.outcome_object = next((obj for obj in scene.objects if _NOTE in obj), None)


def _write(holder: Any, name: str, materials: Any) -> None:
    attribute = holder.data.attributes.get(name) or holder.data.attributes.new(name, "INT", "POINT")
    attribute.data.foreach_set("value", np.ascontiguousarray(materials, dtype=np.int32))


def _read(holder: Any, name: str) -> npt.NDArray[np.int32]:
    attribute = holder.data.attributes.get(name)
    if attribute is None:
        raise SceneError(f"object {holder.name!r}: does not tell its materials any more; optimize it again")
    values = np.empty(len(attribute.data), dtype=np.int32)
    attribute.data.foreach_get("value", values)
    return values
