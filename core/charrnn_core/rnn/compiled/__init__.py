"""The compiled engine: windows, optimizer steps and whole buckets of updates as machine code, by Numba."""
