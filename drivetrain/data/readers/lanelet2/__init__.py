"""Lanelet2 maps, alone or with tracks in INTERACTION's layout."""
