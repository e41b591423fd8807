# SPDX-License-Identifier: GPL-3.0-or-later
"""Job: what one run does to a .blend, as the panel and a job.json say it. Without bpy."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from blockcore.commands.arguments import settings_of
from blockcore.errors import SettingsError, quoted
from blockcore.io.damage import DAMAGE
from blockcore.io.files import Json, read_json, write_json
from blockcore.model.settings import OptimizeSettings

FORMAT = "blockcore.job"
VERSION = 1
KINDS = ("collection", "object")
OWN = Path("own")
"""Where a palette's file is named, says that it is the one which the .blend's panel keeps."""
PALETTES = ("webgpu", "file", "scene", "own")
RESULTS = ("new_object", "in_place")
_REMEDY = "save the job from the panel again"


@dataclass(frozen=True)
class Job:
    """One run: which blocks, materials and cameras of a .blend, and how to look for the materials.

    Attributes:
        blocks: name of the collection or object that holds the blocks.
        blocks_kind: ``"collection"`` or ``"object"``.
        palette: ``"webgpu"`` (built-in), ``"file"``, ``"scene"`` (the blocks' materials) or ``"own"`` (the one that the
            .blend keeps).
        palette_file: path of the palette; with ``"file"`` alone.
        cameras: names of the camera objects to use; empty for all that have a target.
        as_boxes: whether any mesh is taken as the box around it.
        result: ``"new_object"`` or ``"in_place"``: where the materials found are put.
        settings: how to look for them.
    """

    blocks: str
    blocks_kind: str = "collection"
    palette: str = "webgpu"
    palette_file: str = ""
    cameras: tuple[str, ...] = ()
    as_boxes: bool = False
    result: str = "new_object"
    settings: OptimizeSettings = field(default_factory=OptimizeSettings)

    def __post_init__(self) -> None:
        for name, choices in (("blocks_kind", KINDS), ("palette", PALETTES), ("result", RESULTS)):
            if getattr(self, name) not in choices:
                raise SettingsError(f"job: {name} {quoted(getattr(self, name))} is not one of {', '.join(choices)}")
        for name in ("blocks", "palette_file"):
            if not isinstance(getattr(self, name), str):
                raise SettingsError(f"job: {name} must be text")
        if not isinstance(self.as_boxes, bool):
            raise SettingsError("job: as_boxes must be true or false")
        if isinstance(self.cameras, str) or not all(isinstance(name, str) for name in self.cameras):
            raise SettingsError("job: cameras must be a list of names")
        object.__setattr__(self, "cameras", tuple(self.cameras))

    def write(self, path: Path | str) -> None:
        """Writes the job as JSON, whole or not at all.

        Raises:
            BlockcoreError: it cannot be written there.
        """
        write_json(Path(path), self.to_dict())

    def to_dict(self) -> Json:
        """Returns the job as JSON has it."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {"format": FORMAT, "version": VERSION} | values | {"settings": self.settings.to_dict()}

    @staticmethod
    def read(path: Path | str) -> Job:
        """Reads a job; what it leaves out keeps its default.

        Raises:
            SettingsError: the file is missing, damaged, of a newer version, or a value is wrong.
        """
        path = Path(path)
        return Job.from_dict(read_json(path, SettingsError, _REMEDY), f"{path}: ")

    @staticmethod
    def from_dict(data: Json, where: str = "") -> Job:
        """Returns the job that JSON says; what it leaves out keeps its default.

        Args:
            data: what ``to_dict`` returned.
            where: what messages begin with.

        Raises:
            SettingsError: it is none, of a newer version, or a value is wrong.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise SettingsError(f"{where}is not a job; {_REMEDY}")
        version = data.get("version")
        if not isinstance(version, int) or not 1 <= version <= VERSION:
            raise SettingsError(f"{where}has version {quoted(version)}, this add-on reads up to {VERSION}; update it")
        try:
            return _from_values({name: value for name, value in data.items() if name not in ("format", "version")})
        except (SettingsError, *DAMAGE) as error:
            raise SettingsError(f"{where}{error}; {_REMEDY}") from error


def told_settings(args: argparse.Namespace, noted: Job | None = None) -> OptimizeSettings:
    """Returns the settings of a command line, or of the job that it names; that also says where the result is put.

    Args:
        args: of the command line.
        noted: what the file itself says; it is taken where the command line says nothing else.

    Raises:
        SettingsError: a value is wrong, or the command line names a job and says something itself.
    """
    settings = settings_of(args, OptimizeSettings() if noted is None else noted.settings)
    if getattr(args, "job", None) is None:
        if noted is not None:
            args.in_place = args.in_place or noted.result == "in_place"
        return settings
    said = args.blocks or args.palette or args.camera or args.in_place or args.as_boxes
    if settings != OptimizeSettings() or said:
        raise SettingsError("--job says which blocks, materials and settings; leave those options out, or --job")
    job = Job.read(args.job)
    args.in_place = job.result == "in_place"
    return job.settings


def _from_values(values: Json) -> Job:
    known = {f.name for f in dataclasses.fields(Job)}
    unknown = sorted(values.keys() - known)
    if unknown:
        raise SettingsError(f"job has the unknown entry {quoted(unknown[0])}")
    if "blocks" not in values:
        raise SettingsError("job does not name the blocks")
    settings = values.get("settings", {})
    if not isinstance(settings, dict):
        raise SettingsError("job: settings must be a table of names and values")
    if ":" in str(settings.get("loss", "")):
        # A file from elsewhere must not choose what code runs.
        raise SettingsError(f"job: loss {quoted(settings['loss'])} names code, which only a command line may")
    return Job(**{**values, "settings": OptimizeSettings.from_dict(settings)})
