"""Where blocks are computed: in this process, or by Dask workers."""
