"""Readers: one dataset's layout a file, each with `find` and `read` (`recording.Reader`)."""

from drivetrain.data.readers import commonroad, lanelet2, nocturne, opendrive, recorded
from drivetrain.data.recording import Reader

READERS: dict[str, Reader] = {
    "commonroad": commonroad,
    "lanelet2": lanelet2,
    "nocturne": nocturne,
    "opendrive": opendrive,
    "recording": recorded,
}
