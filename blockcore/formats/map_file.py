"""map.json of the WebGPU block editor, as one format among others."""

from __future__ import annotations

from pathlib import Path

from blockcore.formats.exchange import beside_blocks, joined
from blockcore.formats.webgpu import read_map, write_map
from blockcore.model.palette import WEBGPU_PALETTE, Palette
from blockcore.model.scene import BlockScene


class MapFile:
    """The format of ``read_map`` and ``write_map``; see ``blockcore.formats.Format``."""

    name = "map of the WebGPU editor"
    suffixes = (".json",)
    holds = BlockScene
    marker = ""
    is_read = is_written = True

    def sniff(self, path: Path, start: bytes) -> bool:
        """Whether it is an object of JSON."""
        return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"

    def read(self, path: Path, palette: Palette | None) -> tuple[BlockScene, tuple[str, ...]]:
        """Reads a map, whose blocks are of the palette's materials or of the editor's."""
        blocks = read_map(path, WEBGPU_PALETTE if palette is None else joined(palette, WEBGPU_PALETTE))
        return BlockScene(blocks.grid, blocks.materials, blocks.palette), ()

    def write(self, path: Path, what: BlockScene) -> tuple[str, ...]:
        """Writes a map, which has the names of materials, and not their colours."""
        write_map(path, what.grid, what.materials, what.palette, path.stem)
        used = {what.palette.names[index] for index in set(what.materials.tolist())}
        unknown = sorted(used - set(WEBGPU_PALETTE.names))
        losses = beside_blocks(what)
        if unknown:
            losses += (f"the editor does not know {len(unknown)} of the materials, such as {unknown[0]}",)
        return losses


FORMAT = MapFile()
