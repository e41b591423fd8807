"""Differentiable block worlds that match a WebGPU block renderer pixel for pixel.

Importing this package imports neither torch nor numba: each name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "AIR": "palette",
    "BlockGrid": "grid",
    "BlockScene": "scene",
    "BlockcoreError": "errors",
    "Camera": "camera",
    "DifferentiableBlockRenderer": "renderer",
    "DifferentiableBlockWorld": "world",
    "Lighting": "lighting",
    "MATERIALS": "palette",
    "OptimizeSettings": "settings",
    "Palette": "palette",
    "TerrainShader": "shading",
    "View": "scene",
    "WEBGPU_LIGHTING": "lighting",
    "WEBGPU_PALETTE": "palette",
    "block_to_world": "grid",
    "build_block_mesh": "mesh",
    "composite_over_sky": "shading",
    "create_look_at_matrix": "camera",
    "create_perspective_matrix": "camera",
    "get_material_palette": "palette",
    "load_camera_matrices_from_metadata": "webgpu",
    "material_index_to_name": "palette",
    "material_name_to_index": "palette",
    "optimize_materials": "optimize",
    "read_dataset": "webgpu",
    "read_map": "webgpu",
    "read_scene": "webgpu",
    "write_dataset": "webgpu",
    "write_map": "webgpu",
}

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
    from blockcore.camera import Camera as Camera
    from blockcore.camera import create_look_at_matrix as create_look_at_matrix
    from blockcore.camera import create_perspective_matrix as create_perspective_matrix
    from blockcore.errors import BlockcoreError as BlockcoreError
    from blockcore.grid import BlockGrid as BlockGrid
    from blockcore.grid import block_to_world as block_to_world
    from blockcore.lighting import WEBGPU_LIGHTING as WEBGPU_LIGHTING
    from blockcore.lighting import Lighting as Lighting
    from blockcore.mesh import build_block_mesh as build_block_mesh
    from blockcore.optimize import optimize_materials as optimize_materials
    from blockcore.palette import AIR as AIR
    from blockcore.palette import MATERIALS as MATERIALS
    from blockcore.palette import WEBGPU_PALETTE as WEBGPU_PALETTE
    from blockcore.palette import Palette as Palette
    from blockcore.palette import get_material_palette as get_material_palette
    from blockcore.palette import material_index_to_name as material_index_to_name
    from blockcore.palette import material_name_to_index as material_name_to_index
    from blockcore.renderer import DifferentiableBlockRenderer as DifferentiableBlockRenderer
    from blockcore.scene import BlockScene as BlockScene
    from blockcore.scene import View as View
    from blockcore.settings import OptimizeSettings as OptimizeSettings
    from blockcore.shading import TerrainShader as TerrainShader
    from blockcore.shading import composite_over_sky as composite_over_sky
    from blockcore.webgpu import load_camera_matrices_from_metadata as load_camera_matrices_from_metadata
    from blockcore.webgpu import read_dataset as read_dataset
    from blockcore.webgpu import read_map as read_map
    from blockcore.webgpu import read_scene as read_scene
    from blockcore.webgpu import write_dataset as write_dataset
    from blockcore.webgpu import write_map as write_map
    from blockcore.world import DifferentiableBlockWorld as DifferentiableBlockWorld
