"""Recordings in neutral form: what readers make, its file, smoothing, another time step."""
