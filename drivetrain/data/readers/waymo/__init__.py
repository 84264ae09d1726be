"""Waymo Open Motion shards."""
