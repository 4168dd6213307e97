"""An interpreter of the PTX that Numba makes of CUDA kernels: it runs kernels without a GPU and finds their faults."""
