"""Recordings made by simulators: signalised urban traffic, as files of `data/recording_files.py`."""
