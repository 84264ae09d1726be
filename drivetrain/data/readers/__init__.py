"""Readers: one dataset's layout a file, each with `find` and `read` (`recording.Reader`)."""

from drivetrain.data.readers import commonroad, nocturne, waymo
from drivetrain.data.recording import Reader

READERS: dict[str, Reader] = {"commonroad": commonroad, "nocturne": nocturne, "waymo": waymo}
