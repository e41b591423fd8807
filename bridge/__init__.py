"""The bridge between Blender scenes and blockcore; the only home of bpy data."""
