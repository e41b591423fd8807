"""The losses of single pixels that compiled loops know, by number; for an error e."""

L2 = 0
"""e²."""
L1 = 1
"""|e|."""
HUBER = 2
"""e² up to a width, from there on straight."""
