# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to happen when a run meets something bigger: a save, another file, an undo, the end of Blender."""

import atexit
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from blockcore.errors import BlockcoreError
from bridge.blender.noted_job import note_job
from bridge.blender.preview import remove_previews

from . import properties, status
from .outcome import keep_report
from .session import session


def end_run(*_) -> None:
    """Ends the run under way, if there is one, and leaves the scene as it was."""
    run, session.run = session.run, None
    if run is not None:
        run.close()


@persistent
def _before_load(*_):
    end_run()
    session.forget_outcomes()
    session.made = None
    session.hush()


@persistent
def _after_load(*_):
    remove_previews()
    status.forget()


@persistent
def _after_undo(*_):
    if session.run is None:
        remove_previews()
    session.look_again()
    status.forget()


@persistent
def _before_save(file, *_):
    if session.run is not None:
        session.run.hide_preview()
    for scene in bpy.data.scenes:
        if scene.library is None:
            note_job(scene, _job_of(scene))
    if file and session.outcome is not None:
        try:
            keep_report(session.outcome, Path(file))
        except BlockcoreError as error:  # the file itself is to be saved all the same
            session.say(f"{error}; the report stays where it is until Blender ends")


def _job_of(scene):
    """Returns what a scene's panel says; None where that is no job yet."""
    try:
        return properties.job_of(scene)
    except BlockcoreError:
        return None


@persistent
def _after_save(*_):
    if session.run is not None:
        session.run.show_preview()


_HANDLERS = (
    (bpy.app.handlers.load_pre, _before_load),
    (bpy.app.handlers.load_post, _after_load),
    (bpy.app.handlers.undo_post, _after_undo),
    (bpy.app.handlers.redo_post, _after_undo),
    (bpy.app.handlers.save_pre, _before_save),
    (bpy.app.handlers.save_post, _after_save),
)


def register():
    """Adds the handlers."""
    for handlers, handler in _HANDLERS:
        handlers.append(handler)
    atexit.register(end_run)


def unregister():
    """Removes the handlers, and ends a run."""
    end_run()
    atexit.unregister(end_run)
    for handlers, handler in _HANDLERS:
        handlers.remove(handler)
