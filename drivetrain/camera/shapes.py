"""What things look like: two convex parts each, in shares of their box, with what each part is made of.

A part is what lies between a front and a rear plane (which may lean), two sides, a floor and a roof. A new shape is a
new row.
"""

import enum

import numpy as np

from drivetrain.types import AgentKind


class Thing(enum.IntEnum):
    """What a pixel shows. Agents follow in the order of `AgentKind`, from `AGENT` on."""

    SKY = 0
    ROAD = 1
    VERGE = 2
    PAINT = 3
    KERB = 4
    BUILDING = 5
    TREE = 6
    LIGHT = 7
    SIGN = 8


AGENT = 8
"""A pixel of an agent says `AGENT` + its `AgentKind`."""
STREWN_THING = 16
"""A pixel of a strewn thing says `STREWN_THING` + its `Kind`."""


class Material(enum.IntEnum):
    """How a part is painted (`paint.py`)."""

    BODY = 0  # of a car: wheels, lamps, a plate
    CABIN = 1  # glass between pillars, a roof
    CARGO = 2
    COACH = 3  # a bus: a band of windows
    CLOTH = 4
    HEAD = 5
    FRAME = 6  # of a bicycle
    WALL = 7
    LEAVES = 8
    LAMPS = 9
    STEEL = 10
    CAB = 11  # of a truck
    PLATE = 12  # of a sign, and of whatever is of one colour
    # What is strewn (`strewing.py`): from here on.
    STRIPES = 13  # bands around, of the thing's colour and white
    BOARD = 14  # slanting stripes
    RUBBER = 15  # a tyre
    HIDE = 16  # of an animal on four legs
    RUNGS = 17  # of a ladder that lies
    CARTON = 18  # with tape
    CHAIR = 19  # with two large wheels
    RIDER = 20  # clothes with a head above
    WOOD = 21
    RUBBLE = 22
    WHEELS = 23  # of a bicycle or motorcycle
    FACE = 24  # of a sign


class Shape(enum.IntEnum):
    """Rows of `PARTS`."""

    SEDAN = 0
    HATCHBACK = 1
    SUV = 2
    VAN = 3
    PICKUP = 4
    TRUCK = 5
    BUS = 6
    MOTORCYCLE = 7
    BICYCLE = 8
    PEDESTRIAN = 9
    OTHER = 10
    BUILDING = 11
    TREE = 12
    LIGHT = 13
    HUNG_LIGHT = 14
    SIGN = 15
    TRAILER = 16
    WHEELCHAIR = 17
    STROLLER = 18
    DOG = 19
    DEER = 20
    COW = 21
    CONE = 22
    BARREL = 23
    BARRIER = 24
    BOARD = 25
    BOLLARD = 26
    HYDRANT = 27
    BIN = 28
    BOX = 29
    SUITCASE = 30
    TYRE = 31
    LADDER = 32
    PLANK = 33
    TRUNK = 34
    DEBRIS = 35
    SCOOTER = 36
    CYCLIST = 37
    MOTORCYCLIST = 38
    ROAD_SIGN = 39


class Part(enum.IntEnum):
    """Columns of a part. Lengths in half lengths, widths in half widths, heights in heights of the box."""

    FRONT = 0  # of its floor, ahead of the centre
    REAR = 1  # behind it
    WIDTH = 2
    FLOOR = 3
    ROOF = 4
    FRONT_LEAN = 5  # how much less long its roof is at the front
    REAR_LEAN = 6
    MATERIAL = 7


NOTHING = (0.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, Material.STEEL)
STREWN_PARTS = [
    [(0.72, 1.0, 1.0, 0.12, 1.0, 0.02, 0.0, Material.CARGO), (1.0, -0.7, 0.07, 0.16, 0.26, 0.0, 0.0, Material.STEEL)],
    [(0.8, 0.7, 1.0, 0.0, 0.5, 0.0, 0.05, Material.CHAIR), (0.3, 0.55, 0.7, 0.40, 1.0, 0.1, -0.05, Material.RIDER)],
    [(0.7, 0.8, 0.8, 0.0, 0.45, 0.1, 0.1, Material.FRAME), (0.75, 0.6, 1.0, 0.42, 0.95, 0.5, -0.1, Material.CLOTH)],
    [(0.62, 0.95, 0.8, 0.0, 0.78, 0.0, 0.05, Material.HIDE), (1.0, -0.42, 0.6, 0.62, 1.0, 0.1, 0.0, Material.HIDE)],
    [(0.55, 0.95, 0.9, 0.0, 0.66, 0.0, 0.06, Material.HIDE), (0.70, -0.35, 0.4, 0.56, 1.0, -0.30, 0.30, Material.HIDE)],
    [(0.68, 1.0, 1.0, 0.0, 0.95, 0.02, 0.04, Material.HIDE), (1.0, -0.58, 0.5, 0.55, 1.0, 0.0, 0.0, Material.HIDE)],
    [
        (1.0, 1.0, 1.0, 0.0, 0.07, 0.05, 0.05, Material.STRIPES),
        (0.66, 0.66, 0.5, 0.07, 1.0, 0.5, 0.5, Material.STRIPES),
    ],
    [(1.0, 1.0, 1.0, 0.0, 0.12, 0.0, 0.0, Material.RUBBER), (0.85, 0.85, 0.85, 0.1, 1.0, 0.1, 0.1, Material.STRIPES)],
    [(1.0, 1.0, 1.0, 0.0, 0.35, 0.35, 0.35, Material.PLATE), (0.62, 0.62, 1.0, 0.3, 1.0, 0.25, 0.25, Material.PLATE)],
    [(1.0, 1.0, 0.85, 0.0, 0.55, 0.85, 0.85, Material.RUNGS), (0.2, 0.2, 1.0, 0.5, 1.0, 0.0, 0.0, Material.BOARD)],
    [(1.0, 1.0, 1.0, 0.0, 1.0, 0.1, 0.1, Material.STRIPES), NOTHING],
    [(0.6, 0.6, 0.6, 0.0, 1.0, 0.15, 0.15, Material.PLATE), (1.0, 1.0, 0.8, 0.5, 0.76, 0.0, 0.0, Material.PLATE)],
    [(0.8, 0.8, 0.85, 0.0, 0.9, -0.12, -0.05, Material.PLATE), (1.0, 0.9, 1.0, 0.88, 1.0, 0.15, 0.0, Material.PLATE)],
    [(1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, Material.CARTON), NOTHING],
    [(1.0, 1.0, 1.0, 0.0, 0.72, 0.0, 0.0, Material.PLATE), (0.2, 0.2, 0.45, 0.72, 1.0, 0.0, 0.0, Material.STEEL)],
    [(0.5, 0.5, 1.0, 0.0, 0.5, -0.5, -0.5, Material.RUBBER), (1.0, 1.0, 1.0, 0.5, 1.0, 0.5, 0.5, Material.RUBBER)],
    [(1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, Material.RUNGS), NOTHING],
    [(1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, Material.WOOD), NOTHING],
    [(1.0, 1.0, 0.8, 0.0, 0.7, 0.05, 0.02, Material.WOOD), (0.1, 0.2, 1.0, 0.3, 1.0, -0.2, 0.25, Material.WOOD)],
    [(1.0, 1.0, 1.0, 0.0, 0.5, 0.4, 0.3, Material.RUBBLE), (0.5, 0.4, 0.6, 0.3, 1.0, 0.4, 0.3, Material.RUBBLE)],
    [(1.0, 1.0, 0.25, 0.04, 0.16, 0.0, 0.1, Material.STEEL), (0.9, -0.72, 0.9, 0.16, 1.0, 0.16, -0.16, Material.RUNGS)],
    [(1.0, 1.0, 0.14, 0.0, 0.48, 0.1, 0.1, Material.WHEELS), (0.3, 0.3, 0.62, 0.36, 1.0, 0.0, -0.15, Material.RIDER)],
    [(1.0, 1.0, 0.36, 0.0, 0.56, 0.1, 0.1, Material.WHEELS), (0.2, 0.38, 0.7, 0.40, 1.0, 0.05, -0.15, Material.RIDER)],
    [(0.5, 0.5, 0.09, 0.0, 0.72, 0.0, 0.0, Material.STEEL), (1.0, 1.0, 1.0, 0.70, 1.0, 0.0, 0.0, Material.FACE)],
]
"""Shapes from `Shape.TRAILER` on: of things that no recording tells of. What lies or stands across has its narrow side
ahead.
"""
PARTS = np.array(
    [
        [
            (1.0, 1.0, 1.0, 0.0, 0.60, 0.04, 0.02, Material.BODY),
            (0.42, 0.78, 0.90, 0.60, 1.0, 0.40, 0.26, Material.CABIN),
        ],
        [
            (1.0, 1.0, 1.0, 0.0, 0.58, 0.05, 0.00, Material.BODY),
            (0.48, 0.98, 0.91, 0.58, 1.0, 0.42, 0.16, Material.CABIN),
        ],
        [
            (1.0, 1.0, 1.0, 0.0, 0.60, 0.03, 0.00, Material.BODY),
            (0.45, 0.97, 0.93, 0.60, 1.0, 0.30, 0.10, Material.CABIN),
        ],
        [
            (1.0, 1.0, 1.0, 0.0, 0.55, 0.03, 0.00, Material.BODY),
            (0.72, 1.00, 0.95, 0.55, 1.0, 0.30, 0.03, Material.CABIN),
        ],
        [
            (1.0, 1.0, 1.0, 0.0, 0.58, 0.03, 0.00, Material.BODY),
            (0.40, 0.25, 0.92, 0.58, 1.0, 0.25, 0.05, Material.CABIN),
        ],
        [(0.52, 1.0, 1.0, 0.10, 1.0, 0.0, 0.0, Material.CARGO), (1.0, -0.60, 0.96, 0.0, 0.82, 0.06, 0.0, Material.CAB)],
        [(1.0, 1.0, 1.0, 0.0, 1.0, 0.02, 0.0, Material.COACH), NOTHING],
        [
            (1.0, 1.0, 0.40, 0.0, 0.56, 0.1, 0.1, Material.FRAME),
            (0.20, 0.35, 0.9, 0.40, 1.0, 0.10, -0.1, Material.CLOTH),
        ],
        [
            (1.0, 1.0, 0.14, 0.0, 0.42, 0.2, 0.2, Material.FRAME),
            (0.25, 0.25, 0.7, 0.36, 1.0, 0.0, -0.1, Material.CLOTH),
        ],
        [
            (0.8, 0.8, 0.8, 0.0, 0.84, 0.2, 0.2, Material.CLOTH),
            (0.38, 0.38, 0.38, 0.85, 1.0, 0.05, 0.05, Material.HEAD),
        ],
        [(1.0, 1.0, 1.0, 0.0, 1.0, 0.1, 0.1, Material.CARGO), NOTHING],
        [(1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, Material.WALL), NOTHING],
        [
            (0.09, 0.09, 0.09, 0.0, 0.4, 0.0, 0.0, Material.STEEL),
            (1.0, 1.0, 1.0, 0.3, 1.0, 0.45, 0.45, Material.LEAVES),
        ],
        [(0.3, 0.3, 0.3, 0.0, 0.76, 0.0, 0.0, Material.STEEL), (1.0, 1.0, 1.0, 0.74, 1.0, 0.0, 0.0, Material.LAMPS)],
        [NOTHING, (1.0, 1.0, 1.0, 0.80, 1.0, 0.0, 0.0, Material.LAMPS)],
        [(0.5, 0.5, 0.09, 0.0, 0.76, 0.0, 0.0, Material.STEEL), (1.0, 1.0, 1.0, 0.70, 1.0, 0.0, 0.0, Material.PLATE)],
        *STREWN_PARTS,
    ],
    np.float32,
)
"""[shape, part, column]."""

HEIGHTS = np.array(
    [1.46, 1.50, 1.75, 2.05, 1.85, 3.60, 3.10, 1.65, 1.75, 1.74, 1.40, 6.0, 6.0, 3.9, 5.6, 2.6], np.float32
)
"""Of each shape before `Shape.TRAILER`, m: no recording tells how high things are."""

CARS = np.array([Shape.SEDAN, Shape.HATCHBACK, Shape.SUV, Shape.SEDAN, Shape.SUV, Shape.VAN, Shape.PICKUP, Shape.SEDAN])
"""Cars as often as their shapes stand here."""
OF_KIND = np.zeros(len(AgentKind), np.int32)
for _kind, _shape in {
    AgentKind.TRUCK: Shape.TRUCK,
    AgentKind.BUS: Shape.BUS,
    AgentKind.MOTORCYCLE: Shape.MOTORCYCLE,
    AgentKind.BICYCLE: Shape.BICYCLE,
    AgentKind.PEDESTRIAN: Shape.PEDESTRIAN,
    AgentKind.OTHER: Shape.OTHER,
}.items():
    OF_KIND[_kind] = _shape
