"""The fixed shapes of a dataset."""

from drivetrain.types import component


@component
class Capacity:
    """The fixed shapes of a dataset; the letters are those of `types`."""

    agents: int  # A: road users of a recording
    steps: int  # T
    elements: int  # R: pieces of road edges, markings, crosswalks
    stations: int  # Q: of all lanes of a map, one every 2 m
    lanes: int  # N
    lines: int  # S: stop lines, with or without a light
    egos: int  # E: agents that could be controlled
    route_stations: int  # P
    route_lanes: int = 8  # L: side by side on a route
    route_lines: int = 16  # K
    levels: int = 0  # 1: some road crosses above another, and everything has a height


MOST = Capacity(
    agents=512,
    steps=151,
    elements=6000,
    stations=1_000_000,
    lanes=100_000,
    lines=64,
    egos=512,
    route_stations=20_000,
    levels=1,
)
"""What a dataset holds at most unless one says otherwise; what exceeds it is cropped (`cropping`), or refused."""

NOTHING = Capacity(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
"""The capacity that holds no scenario."""


def union(first: Capacity, second: Capacity) -> Capacity:
    """The least capacity that holds what either holds."""
    return Capacity(**{name: max(size, vars(second)[name]) for name, size in vars(first).items()})
