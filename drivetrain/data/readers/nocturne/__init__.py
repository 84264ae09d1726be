"""Waymo Open Motion scenes in the JSON layout of Nocturne and GPUDrive."""
