"""From a dataset's files to scenarios on disk. NumPy only: nothing here calls JAX's numerics or starts a backend."""
