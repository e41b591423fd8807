"""Benchmarks: figures that hold on noisy machines, because each is compared with something timed in the same run."""
