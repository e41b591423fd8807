"""The rasterisers: each one object, in a registry. Nothing heavy is imported before one of them draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from blockcore.errors import BackendError
from blockcore.machine.triton_here import triton_problem
from blockcore.model.camera import Camera
from blockcore.model.grid import ExposedFaces
from blockcore.model.registry import Named
from blockcore.visibility.buffer import Visibility


class Rasterizer(Named, Protocol):
    """What finds which triangle each pixel shows.

    All agree on every pixel with ``reference``, which defines it. To add one from another package, name an object as
    an entry point of the group ``blockcore.rasterizers``, or hand it to ``settings.RASTERIZERS.add``.

    Attributes:
        on_gpu: whether it needs a CUDA device; of those, ``auto`` takes the first without a problem.
    """

    @property
    def on_gpu(self) -> bool:
        """Whether it needs a CUDA device."""
        ...

    def problem(self) -> str:
        """Returns why it cannot be used here, with the remedy, or an empty text."""
        ...

    def rasterize(self, faces: ExposedFaces, cameras: Sequence[Camera], subpixel_bits: int) -> list[Visibility]:
        """Returns one ``Visibility`` per camera, none of which mirrors; vertices snap to 1/2^bits of a pixel."""
        ...


class _Cpu:
    name, label, description, on_gpu = "cpu", "Processor", "Exact, on all cores", False

    def problem(self) -> str:
        return ""

    def rasterize(self, faces: ExposedFaces, cameras: Sequence[Camera], subpixel_bits: int) -> list[Visibility]:
        try:
            from blockcore.visibility import cpu
        except ImportError as error:
            raise BackendError(f"rasterizer 'cpu' needs numba ({error}); pip install numba") from error
        return cpu.rasterize(faces, cameras, subpixel_bits)


class _Triton:
    name, label, description, on_gpu = "triton", "Graphics Card", "Exact, on an NVIDIA graphics card", True

    def problem(self) -> str:
        return triton_problem()

    def rasterize(self, faces: ExposedFaces, cameras: Sequence[Camera], subpixel_bits: int) -> list[Visibility]:
        from blockcore.visibility import cuda

        drawn: list[Visibility] = cuda.rasterize(faces, cameras, self.name, subpixel_bits)
        return drawn


class _Nvdiffrast(_Triton):
    name, label = "nvdiffrast", "nvdiffrast"
    description = "On an NVIDIA graphics card; has to be installed separately"

    def problem(self) -> str:
        from blockcore.visibility import nvdiffrast

        return nvdiffrast.problem()


class _Reference:
    name, label, description, on_gpu = "reference", "Reference", "Slow and plain, to check the others with", False

    def problem(self) -> str:
        return ""

    def rasterize(self, faces: ExposedFaces, cameras: Sequence[Camera], subpixel_bits: int) -> list[Visibility]:
        from blockcore.visibility import reference

        return reference.rasterize(faces, cameras, subpixel_bits)


OWN: tuple[Rasterizer, ...] = (_Cpu(), _Triton(), _Nvdiffrast(), _Reference())
