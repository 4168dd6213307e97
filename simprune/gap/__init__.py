"""How the gap sup ||f(x) - F(x)|| over the unit ball is estimated: plain NumPy over a backend's batched operations."""
