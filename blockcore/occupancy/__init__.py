"""Blocks that may vanish: every cell of a region has an opacity, and pixels see through what is not quite there."""
