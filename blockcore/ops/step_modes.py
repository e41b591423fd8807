"""What a step of the optimisation needs; known where there is no Triton, too."""

COSTS = 0
"""The cost table alone."""
STATISTICS = 1
"""The table, and statistics of faces."""
PIXELS = 2
"""The pixels."""
