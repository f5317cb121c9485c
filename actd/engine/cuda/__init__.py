"""One GPU through CUDA's driver API: memory, copies, graphs, and their cleanup."""
