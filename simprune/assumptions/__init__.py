"""Does the theory apply? Tests of the i.i.d. assumption on the layers of a given network: NumPy and SciPy only."""
