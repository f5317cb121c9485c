"""A CUDA driver and a TensorRT that compute on the CPU, to run the GPU's code path for real."""
