"""Gymnasium's loop over many scenes: python examples/gymnasium_loop.py DATASET (by `drivetrain data convert`)."""

import sys
import time

import numpy as np

from drivetrain.adapters.gymnasium import DriveVector
from drivetrain.banks.part import Part


def main(folder: str, scenes: int = 64, steps: int = 200) -> float:
    """Drive at random, as any library's learner would: the mean return of the episodes that ended."""
    bank = Part((folder,), "train").whole.bank
    vector = DriveVector(bank, scenes=scenes, flat=True)
    vector.reset(seed=0)
    vector.action_space.seed(0)
    vector.step(vector.action_space.sample())  # compiles
    gained, returns, began = np.zeros(scenes), [], time.perf_counter()
    for _ in range(steps):
        _, reward, ended, cut, _ = vector.step(vector.action_space.sample())
        gained += reward
        over = ended | cut
        returns += gained[over].tolist()
        gained[over] = 0.0
    rate = scenes * steps / (time.perf_counter() - began)
    print(f"{len(returns)} episodes of mean return {np.mean(returns):.2f}, {rate:,.0f} steps/s")
    return float(np.mean(returns))


if __name__ == "__main__":
    main(sys.argv[1])
