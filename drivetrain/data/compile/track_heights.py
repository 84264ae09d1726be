"""Heights of road users where the source gives only the road's."""

import dataclasses

import numpy as np

from drivetrain.data.recordings.recording import Tracks
from drivetrain.data.roads.lanes import Lanes
from drivetrain.data.roads.levels import nearest
from drivetrain.data.routes.map_matching import match
from drivetrain.types import VEHICLES


def with_heights(tracks: Tracks, lanes: Lanes) -> Tracks:
    """The tracks with heights: measured, else of the lanes that vehicles are matched to, else of the nearest lane."""
    if tracks.height is not None or lanes.height is None or not len(lanes.count):
        return tracks
    height = np.zeros(tracks.valid.shape)
    for row in np.flatnonzero(tracks.valid.any(axis=1)):
        steps = np.flatnonzero(tracks.valid[row])
        position, angle = tracks.position[row, steps], tracks.heading[row, steps]
        matched = "no_lane"  # who is no vehicle is on none
        if tracks.kind[row] in VEHICLES:
            matched = match(lanes, position, np.stack([np.cos(angle), np.sin(angle)], axis=1))
        if isinstance(matched, str):
            station = lanes.nearest(position)
        else:
            near = np.flatnonzero(np.isin(lanes.lane, matched.lanes))
            station = near[nearest(lanes.centre[near], position)]
        height[row, steps] = lanes.height[station]
    return dataclasses.replace(tracks, height=height)
