"""A dataset of your own: drivetrain train examples/own_dataset.py:mine --data.source FOLDER (of CSV files)."""

from pathlib import Path

import numpy as np

from drivetrain.data.readers import READERS
from drivetrain.data.recordings.recording import Lane, Recording, Tracks
from drivetrain.runs.run import Data, Run, Stage
from drivetrain.types import AgentKind


class OneLane:
    """Rows id, step, x, y, heading: cars of 4.5 m × 1.9 m on a lane 3.5 m wide that runs along +x for 500 m."""

    def find(self, source: str) -> list[str]:
        """The files of a folder."""
        return sorted(map(str, Path(source).glob("*.csv")))

    def read(self, file: str) -> Recording:
        """One recording at 5 Hz."""
        ids, steps, *values = np.loadtxt(file, delimiter=",", ndmin=2).T
        ids, steps = np.unique(ids, return_inverse=True)[1], steps.astype(int)
        table, valid = (np.zeros((ids.max() + 1, steps.max() + 1, *more)) for more in ((3,), ()))
        table[ids, steps], valid[ids, steps] = np.stack(values, 1), 1
        velocity, size = np.gradient(table[..., :2], 0.2, axis=1) * valid[..., None], np.full(len(table), 4.5)
        kind, motion = np.full(len(table), int(AgentKind.CAR)), (table[..., :2], table[..., 2], velocity)
        tracks = Tracks(np.arange(len(table)), kind, size, 0.42 * size, *motion, valid > 0)
        lane = Lane(0, np.array([[0.0, 1.75], [500.0, 1.75]]), np.array([[0.0, -1.75], [500.0, -1.75]]))
        return Recording(Path(file).stem, file, 0.2, tracks, lanes=(lane,))


READERS["one-lane"] = OneLane()


def mine() -> Run:
    """PPO on it; other processes would not know the format."""
    data = Data(format="one-lane", source=("tracks",), dataset="build/one-lane", workers=1)
    return Run(name="own-dataset", data=data, stages=(Stage(name="ppo", title="PPO"),))
