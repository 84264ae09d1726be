"""What a run is: its configuration, its folder, its stages, and how it survives."""
