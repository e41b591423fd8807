"""Triangles to blocks: which cells a surface goes through, what lies inside it, and what of that shall stay."""
