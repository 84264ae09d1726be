"""How a controlled agent moves: one model a file, forward and inverse."""
