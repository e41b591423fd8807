"""WebGpuRenderer: draws a block scene with whatever WebGPU implementation the ``wgpu`` package finds."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockcore.errors import BackendError
from blockcore.model.baked_light import BakedLight, Light
from blockcore.model.camera import Camera
from blockcore.model.lighting import UNLIT, Lighting
from blockcore.model.scene import BlockScene
from blockcore.shading.frames import frame_colors
from blockcore.webgpu_live.adapter import request_adapter
from blockcore.webgpu_live.mesh import build_mesh, finished_surfaces, surface_table

_COLOR_FORMAT = "rgba8unorm"
_DEPTH_FORMAT = "depth32float"
_ROW_ALIGNMENT = 256  # bytes; what WebGPU asks of a texture's rows in a buffer


def terrain_shader() -> str:
    """Returns the WGSL source of the terrain shader."""
    return (Path(__file__).parent / "terrain.wgsl").read_text(encoding="utf-8")


def frame_uniform(view_proj: npt.NDArray[np.float32], lighting: Lighting) -> npt.NDArray[np.float32]:
    """Packs the shader's ``Frame``, (32,) float32, for a (4, 4) row-major ``view_proj``."""
    sun = np.asarray(lighting.sun_direction) / np.linalg.norm(lighting.sun_direction)
    light = [*sun, lighting.ambient_strength]
    light += [*lighting.sun_color, 0.0, *lighting.ground_color, 0.0, *lighting.sky_color, 0.0]
    return np.array([*view_proj.T.ravel(), *light], np.float32)


def drawn_light(light: Light) -> Lighting:
    """Returns the light that the shader shall draw in: none where it is baked, and surfaces finished."""
    return replace(UNLIT, background=light.background) if isinstance(light, BakedLight) else light


@cache
def _open_device() -> Any:
    """Opens the machine's WebGPU device, once."""
    adapter = request_adapter()
    wanted = ("max-texture-dimension-2d", "max-buffer-size", "max-storage-buffer-binding-size")
    try:
        return adapter.request_device_sync(required_limits={name: adapter.limits[name] for name in wanted})
    except RuntimeError as error:
        raise BackendError(f"WebGPU: the adapter opens no device ({error}); update its driver") from error


class WebGpuRenderer:
    """Draws the views of one block scene. Its mesh and its materials are uploaded once.

    Every picture is drawn as WebGPU's own pipeline does it: triangles culled from behind, depth test ``less``, one
    sample a pixel, 8 bits a channel, cleared to the background.
    """

    def __init__(self, scene: BlockScene) -> None:
        """Uploads the mesh of ``scene``.

        Raises:
            BackendError: the ``wgpu`` package or a WebGPU adapter is missing, or the scene outgrows its buffers.
        """
        self._device = _open_device()
        mesh = build_mesh(scene.grid, scene.materials)
        self._index_count = len(mesh.index)
        surface, (surfaces, texels) = mesh.surface, surface_table(scene.palette)
        if isinstance(scene.lighting, BakedLight):
            colors = frame_colors(scene.grid.exposed_faces, scene.materials, scene.palette, scene.lighting)
            surface, surfaces, texels = finished_surfaces(colors)
        self._lighting = drawn_light(scene.lighting)
        self._frame = self._buffer(np.zeros(32, np.float32), "UNIFORM")
        self._position = self._buffer(mesh.position, "VERTEX")
        self._index = self._buffer(mesh.index, "INDEX")
        storage = [self._buffer(array, "STORAGE") for array in (surface, surfaces, texels)]
        self._pipeline = _terrain_pipeline()
        self._bindings = self._device.create_bind_group(
            layout=self._pipeline.get_bind_group_layout(0),
            entries=[
                {"binding": i, "resource": {"buffer": buffer}} for i, buffer in enumerate([self._frame, *storage])
            ],
        )
        self._targets: tuple[int, int, Any, Any, Any] | None = None

    @property
    def adapter(self) -> str:
        """What draws: the adapter's name and driver."""
        info = self._device.adapter.info
        return f"{info['device']}, {info['description']} ({info['backend_type']})"

    def draw(self, camera: Camera) -> npt.NDArray[np.uint8]:
        """Draws one view.

        Args:
            camera: the camera and the size of its picture.

        Returns:
            (H, W, 4) uint8 display values, row 0 on top, alpha 255.

        Raises:
            BackendError: the picture is larger than the adapter's textures.
        """
        return self._draw(camera, camera.width, camera.height)

    def draw_frame(self, camera: Camera) -> None:
        """Draws one view, leaves the picture on the device, and returns once it is finished there."""
        self._draw(camera, 1, 1)  # reading one pixel is the only wait that the wgpu package has working everywhere

    def time_frame(self, camera: Camera, repeats: int = 20) -> tuple[float, float]:
        """Times a frame.

        Args:
            camera: the view.
            repeats: how many frames each median is of.

        Returns:
            Median milliseconds of ``draw_frame`` (drawing alone) and of ``draw`` (drawing and reading back).
        """
        medians = []
        for frame in (self.draw_frame, self.draw):
            frame(camera)
            times = []
            for _ in range(repeats):
                start = time.perf_counter()
                frame(camera)
                times.append(time.perf_counter() - start)
            medians.append(1e3 * float(np.median(times)))
        return medians[0], medians[1]

    def _draw(self, camera: Camera, columns: int, rows: int) -> npt.NDArray[np.uint8]:
        """Draws a view and reads the first ``columns`` and ``rows`` of it back."""
        color, depth, pixels = self._targets_for(camera.width, camera.height)
        encoder = self._encode(camera, color, depth)
        row_bytes = _padded_row(columns)
        encoder.copy_texture_to_buffer(
            {"texture": color}, {"buffer": pixels, "bytes_per_row": row_bytes}, (columns, rows, 1)
        )
        self._device.queue.submit([encoder.finish()])
        pixels.map_sync("READ", 0, row_bytes * rows)
        try:
            padded = np.frombuffer(pixels.read_mapped(copy=False), np.uint8)
            return padded.reshape(rows, row_bytes // 4, 4)[:, :columns].copy()
        finally:
            pixels.unmap()

    def _encode(self, camera: Camera, color: Any, depth: Any) -> Any:
        self._device.queue.write_buffer(self._frame, 0, frame_uniform(camera.view_proj, self._lighting))
        encoder = self._device.create_command_encoder()
        render_pass = encoder.begin_render_pass(
            color_attachments=[
                {
                    "view": color.create_view(),
                    "load_op": "clear",
                    "store_op": "store",
                    "clear_value": (*self._lighting.background, 1.0),
                }
            ],
            depth_stencil_attachment={
                "view": depth.create_view(),
                "depth_load_op": "clear",
                "depth_store_op": "discard",
                "depth_clear_value": 1.0,
            },
        )
        if self._index_count:
            render_pass.set_pipeline(self._pipeline)
            render_pass.set_bind_group(0, self._bindings)
            render_pass.set_vertex_buffer(0, self._position)
            render_pass.set_index_buffer(self._index, "uint32")
            render_pass.draw_indexed(self._index_count)
        render_pass.end()
        return encoder

    def _targets_for(self, width: int, height: int) -> tuple[Any, Any, Any]:
        """Returns the colour and depth textures and the read-back buffer for a picture size; the last size is kept."""
        if self._targets is None or self._targets[:2] != (width, height):
            largest = self._device.limits["max-texture-dimension-2d"]
            if max(width, height) > largest:
                raise BackendError(f"WebGPU: a picture of {width} × {height} exceeds this adapter's {largest} pixels")
            import wgpu

            size = (width, height, 1)
            usage = wgpu.TextureUsage
            color = self._device.create_texture(
                size=size, format=_COLOR_FORMAT, usage=usage.RENDER_ATTACHMENT | usage.COPY_SRC
            )
            depth = self._device.create_texture(size=size, format=_DEPTH_FORMAT, usage=usage.RENDER_ATTACHMENT)
            pixels = self._device.create_buffer(
                size=_padded_row(width) * height, usage=wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.MAP_READ
            )
            self._targets = (width, height, color, depth, pixels)
        return self._targets[2:]

    def _buffer(self, array: npt.NDArray[Any], usage: str) -> Any:
        """Uploads an array; WebGPU binds no empty buffer, so that an empty one becomes a little of nothing."""
        import wgpu

        limit = "max-storage-buffer-binding-size" if usage == "STORAGE" else "max-buffer-size"
        if array.nbytes > self._device.limits[limit]:
            raise BackendError(f"WebGPU: the scene needs a buffer of {array.nbytes} bytes, more than this adapter has")
        data = array.tobytes() or bytes(32)
        return self._device.create_buffer_with_data(
            data=data, usage=getattr(wgpu.BufferUsage, usage) | wgpu.BufferUsage.COPY_DST
        )


def _padded_row(width: int) -> int:
    return -(-4 * width // _ROW_ALIGNMENT) * _ROW_ALIGNMENT


@cache
def _terrain_pipeline() -> Any:
    device = _open_device()
    shader = device.create_shader_module(code=terrain_shader())
    return device.create_render_pipeline(
        layout="auto",
        vertex={
            "module": shader,
            "entry_point": "vertex_main",
            "buffers": [
                {
                    "array_stride": 12,
                    "step_mode": "vertex",
                    "attributes": [{"format": "float32x3", "offset": 0, "shader_location": 0}],
                }
            ],
        },
        primitive={"topology": "triangle-list", "front_face": "ccw", "cull_mode": "back"},
        depth_stencil={"format": _DEPTH_FORMAT, "depth_write_enabled": True, "depth_compare": "less"},
        fragment={"module": shader, "entry_point": "fragment_main", "targets": [{"format": _COLOR_FORMAT}]},
    )
