"""Block worlds drawn by a real WebGPU implementation: a mesher, a WGSL terrain shader and a renderer for them."""
