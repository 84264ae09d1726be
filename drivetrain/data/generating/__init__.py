"""Recordings made by simulators: signalised urban traffic, as files of `data/recordings/recording_files.py`."""
