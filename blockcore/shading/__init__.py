"""Faces, materials and light to pixels."""
