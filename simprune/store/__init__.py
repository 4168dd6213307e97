"""Where rows are kept: immutable HDF5 segments, one packed file, or memory."""
