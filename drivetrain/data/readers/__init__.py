"""Readers: one dataset's layout a file, each with `find` and `read` (`recording.Reader`)."""

from drivetrain.data.readers import (
    argoverse,
    argoverse_sensor,
    commonroad,
    lanelet2,
    nocturne,
    opendrive,
    recorded,
    scenarionet,
    waymo,
)
from drivetrain.data.recording import Reader

READERS: dict[str, Reader] = {
    "argoverse2": argoverse,
    "argoverse2-sensor": argoverse_sensor,
    "commonroad": commonroad,
    "lanelet2": lanelet2,
    "nocturne": nocturne,
    "opendrive": opendrive,
    "recording": recorded,
    "scenarionet": scenarionet,
    "waymo": waymo,
}
