"""Runs inside Blender: answers a test's questions about the scene, which a picture does not tell.

A question is a file N.py in the folder BLOCKCORE_PROBE; its answer, the value that it leaves in ``answer`` or a
traceback, comes back as N.json.
"""

import json
import os
import traceback
from pathlib import Path

import bpy

_FOLDER = Path(os.environ["BLOCKCORE_PROBE"])
_names: dict = {"bpy": bpy}


def _look():
    for question in sorted(_FOLDER.glob("*.py")):
        try:
            exec(question.read_text(), _names)
            said = {"answer": _names.pop("answer", None)}
        except BaseException:
            said = {"error": traceback.format_exc()}
        question.unlink()
        fresh = question.with_suffix(".fresh")
        fresh.write_text(json.dumps(said))
        fresh.replace(question.with_suffix(".json"))
    return 0.05


bpy.context.preferences.view.show_splash = False
bpy.app.timers.register(_look, first_interval=1.0, persistent=True)
