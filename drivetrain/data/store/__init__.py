"""Datasets on disk: shards and manifest, converting to them, loading, streaming and selecting from them."""
