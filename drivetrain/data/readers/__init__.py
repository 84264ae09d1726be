"""Readers: one dataset's layout a file, each with `find` and `read` (`recording.Reader`)."""

from drivetrain.data.readers import commonroad, nocturne, opendrive
from drivetrain.data.recording import Reader

READERS: dict[str, Reader] = {"commonroad": commonroad, "nocturne": nocturne, "opendrive": opendrive}
