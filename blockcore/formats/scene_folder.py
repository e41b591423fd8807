"""BlockScene folders, which hold all that blockcore knows."""

from __future__ import annotations

from pathlib import Path

from blockcore.model.palette import Palette
from blockcore.model.scene import BlockScene


class SceneFolder:
    """The format of ``BlockScene.write``; see ``blockcore.formats.Format``."""

    name = "BlockScene folder"
    suffixes = ("",)
    holds = BlockScene
    marker = "scene.json"
    is_read = is_written = True

    def sniff(self, path: Path, start: bytes) -> bool:
        """Whether it is a folder with a scene in it."""
        return (path / self.marker).is_file()

    def read(self, path: Path, palette: Palette | None) -> tuple[BlockScene, tuple[str, ...]]:
        """Reads a scene, which has its own palette."""
        return BlockScene.read(path), ()

    def write(self, path: Path, what: BlockScene) -> tuple[str, ...]:
        """Writes a scene."""
        what.write(path)
        return ()


FORMAT = SceneFolder()
