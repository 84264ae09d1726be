"""A dataset of your own: python examples/own_dataset.py TRACKS.csv (rows: id, step, x, y, heading; one lane)."""

import sys

import numpy as np

from drivetrain.data.compile.compiling import compile_recording, measure
from drivetrain.data.recordings.recording import Lane, Recording, Tracks
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import make_bank
from drivetrain.types import AgentKind

DT = 0.2


def read(file: str) -> Recording:
    """Cars of 4.5 m × 1.9 m on a lane 3.5 m wide that runs along +x for 500 m."""
    ids, steps, *values = np.loadtxt(file, delimiter=",", ndmin=2).T
    ids, steps = np.unique(ids, return_inverse=True)[1], steps.astype(int)
    cars, length = ids.max() + 1, steps.max() + 1
    table, valid = np.zeros((cars, length, 3)), np.zeros((cars, length), bool)
    table[ids, steps], valid[ids, steps] = np.stack(values, 1), True
    velocity = np.gradient(table[..., :2], DT, axis=1) * valid[..., None]
    size, kind = np.full(cars, 4.5), np.full(cars, int(AgentKind.CAR))
    tracks = Tracks(np.arange(cars), kind, size, 0.42 * size, table[..., :2], table[..., 2], velocity, valid)
    x, side = np.array([0.0, 500.0]), np.full(2, 1.75)
    return Recording(file, file, DT, tracks, lanes=(Lane(0, np.stack([x, side], 1), np.stack([x, -side], 1)),))


def main(file: str) -> Bank:
    """Read, compile, and put it where the simulator reads it."""
    recording = read(file)
    scenario, report = compile_recording(recording, measure([recording]))
    print(f"{len(recording.tracks.id)} cars, {(scenario.egos.track >= 0).sum()} can be driven, {report.notes}")
    return make_bank([scenario], DT)


if __name__ == "__main__":
    main(sys.argv[1])
