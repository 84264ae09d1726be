"""Readers: a package a data set, whose reader has `find` and `read` (`recording.Reader`)."""

from drivetrain.data.readers import recorded
from drivetrain.data.readers.argoverse import forecasting, sensor
from drivetrain.data.readers.commonroad import reader as commonroad_reader
from drivetrain.data.readers.lanelet2 import reader as lanelet2_reader
from drivetrain.data.readers.nocturne import reader as nocturne_reader
from drivetrain.data.readers.opendrive import reader as opendrive_reader
from drivetrain.data.readers.scenarionet import reader as scenarionet_reader
from drivetrain.data.readers.waymo import reader as waymo_reader
from drivetrain.data.recordings.recording import Reader

READERS: dict[str, Reader] = {
    "argoverse2": forecasting,
    "argoverse2-sensor": sensor,
    "commonroad": commonroad_reader,
    "lanelet2": lanelet2_reader,
    "nocturne": nocturne_reader,
    "opendrive": opendrive_reader,
    "recording": recorded,
    "scenarionet": scenarionet_reader,
    "waymo": waymo_reader,
}
