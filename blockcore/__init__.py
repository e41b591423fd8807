"""Differentiable block worlds that match a WebGPU block renderer pixel for pixel.

Importing this package imports neither torch nor numba: each name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from blockcore.machine.moved import keep_old_names

__version__ = "0.1.0"

_HOMES = {
    "AIR": "model.palette",
    "BlockGrid": "model.grid",
    "BlockScene": "model.scene",
    "BlockcoreError": "errors",
    "Camera": "model.camera",
    "DifferentiableBlockRenderer": "renderer",
    "DifferentiableBlockWorld": "world",
    "Lighting": "model.lighting",
    "MATERIALS": "model.palette",
    "OptimizeSettings": "model.settings",
    "Palette": "model.palette",
    "TerrainShader": "shading.radiance",
    "View": "model.scene",
    "WEBGPU_LIGHTING": "model.lighting",
    "WEBGPU_PALETTE": "model.palette",
    "block_to_world": "model.grid",
    "BlockField": "occupancy.field",
    "build_block_mesh": "shading.mesh",
    "composite_over_sky": "shading.radiance",
    "create_look_at_matrix": "model.camera",
    "create_perspective_matrix": "model.camera",
    "find_shape": "occupancy.shape",
    "get_material_palette": "model.palette",
    "load_camera_matrices_from_metadata": "formats.webgpu",
    "material_index_to_name": "model.palette",
    "material_name_to_index": "model.palette",
    "optimize_materials": "optimize",
    "read_dataset": "formats.webgpu",
    "read_map": "formats.webgpu",
    "read_scene": "formats.webgpu",
    "render_worlds": "world",
    "voxelize": "voxelize.blocks",
    "write_dataset": "formats.webgpu",
    "write_map": "formats.webgpu",
}

_MOVED = {
    "camera": "model.camera",
    "files": "io.files",
    "frames": "shading.frames",
    "geometry": "visibility.geometry",
    "grid": "model.grid",
    "lighting": "model.lighting",
    "mesh": "shading.mesh",
    "metrics": "report.metrics",
    "palette": "model.palette",
    "pictures": "io.pictures",
    "scene": "model.scene",
    "settings": "model.settings",
    "webgpu": "formats.webgpu",
}
keep_old_names(__name__, _MOVED)

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if TYPE_CHECKING:
    from blockcore.errors import BlockcoreError as BlockcoreError
    from blockcore.formats.webgpu import load_camera_matrices_from_metadata as load_camera_matrices_from_metadata
    from blockcore.formats.webgpu import read_dataset as read_dataset
    from blockcore.formats.webgpu import read_map as read_map
    from blockcore.formats.webgpu import read_scene as read_scene
    from blockcore.formats.webgpu import write_dataset as write_dataset
    from blockcore.formats.webgpu import write_map as write_map
    from blockcore.model.camera import Camera as Camera
    from blockcore.model.camera import create_look_at_matrix as create_look_at_matrix
    from blockcore.model.camera import create_perspective_matrix as create_perspective_matrix
    from blockcore.model.grid import BlockGrid as BlockGrid
    from blockcore.model.grid import block_to_world as block_to_world
    from blockcore.model.lighting import WEBGPU_LIGHTING as WEBGPU_LIGHTING
    from blockcore.model.lighting import Lighting as Lighting
    from blockcore.model.palette import AIR as AIR
    from blockcore.model.palette import MATERIALS as MATERIALS
    from blockcore.model.palette import WEBGPU_PALETTE as WEBGPU_PALETTE
    from blockcore.model.palette import Palette as Palette
    from blockcore.model.palette import get_material_palette as get_material_palette
    from blockcore.model.palette import material_index_to_name as material_index_to_name
    from blockcore.model.palette import material_name_to_index as material_name_to_index
    from blockcore.model.scene import BlockScene as BlockScene
    from blockcore.model.scene import View as View
    from blockcore.model.settings import OptimizeSettings as OptimizeSettings
    from blockcore.occupancy.field import BlockField as BlockField
    from blockcore.occupancy.shape import find_shape as find_shape
    from blockcore.optimize import optimize_materials as optimize_materials
    from blockcore.renderer import DifferentiableBlockRenderer as DifferentiableBlockRenderer
    from blockcore.shading.mesh import build_block_mesh as build_block_mesh
    from blockcore.shading.radiance import TerrainShader as TerrainShader
    from blockcore.shading.radiance import composite_over_sky as composite_over_sky
    from blockcore.voxelize.blocks import voxelize as voxelize
    from blockcore.world import DifferentiableBlockWorld as DifferentiableBlockWorld
    from blockcore.world import render_worlds as render_worlds
