"""Visibility: which triangle each pixel of a view shows. Found once per view, whatever the materials."""
