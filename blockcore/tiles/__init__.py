"""Tiles: textures on the faces of blocks, from their files to pixels and gradients."""
