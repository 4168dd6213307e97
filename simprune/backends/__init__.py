"""Who computes a block of trials. Only this package imports Numba."""
