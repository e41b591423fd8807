"""What there is to compute with: devices, memory, threads, processes, compilers."""
