"""Kinds of things that may be strewn on a road: shapes, sizes, colours, where they are found."""

import dataclasses
import enum

from drivetrain.camera.shapes import CARS, Shape

Tint = tuple[float, float, float]
ORANGE, RED, YELLOW, BLUE = (0.95, 0.36, 0.05), (0.75, 0.08, 0.08), (0.93, 0.75, 0.08), (0.12, 0.25, 0.62)
WHITE, GREY, BLACK, GREEN = (0.9, 0.9, 0.88), (0.55, 0.55, 0.55), (0.12, 0.12, 0.13), (0.13, 0.3, 0.16)
BROWN, TAN, FAWN, STRAW = (0.36, 0.24, 0.15), (0.66, 0.5, 0.33), (0.52, 0.36, 0.22), (0.72, 0.58, 0.38)
PAINTS = (WHITE, WHITE, (0.6, 0.62, 0.65), (0.3, 0.31, 0.33), BLACK, BLUE, (0.55, 0.08, 0.08), GREEN)
CLOTHES = (RED, BLUE, GREEN, BLACK, WHITE, YELLOW, (0.4, 0.3, 0.5), (0.3, 0.45, 0.6))
ROAD, BESIDE = 1, 2
"""Where a kind is found; their sum: both."""


class Kind(enum.IntEnum):
    """What a strewn thing is. Labels say its name in lower case."""

    CAR = 0
    VAN = 1
    TRUCK = 2
    BUS = 3
    TRAILER = 4
    MOTORCYCLE = 5
    BICYCLE = 6
    PEDESTRIAN = 7
    WHEELCHAIR = 8
    STROLLER = 9
    SCOOTER = 10
    DOG = 11
    DEER = 12
    COW = 13
    CONE = 14
    BARREL = 15
    BARRIER = 16
    BOARD = 17
    BOLLARD = 18
    HYDRANT = 19
    SIGN = 20
    BIN = 21
    BOX = 22
    SUITCASE = 23
    TYRE = 24
    LADDER = 25
    PLANK = 26
    TRUNK = 27
    DEBRIS = 28


@dataclasses.dataclass(frozen=True)
class Looks:
    """How a kind looks."""

    shapes: tuple[Shape, ...]
    size: tuple[float, float, float]  # length, width, height, m
    tints: tuple[Tint, ...]
    where: int = ROAD + BESIDE
    turned: float = 0.0  # rad, from the way of the road
    loose: float = 0.15  # rad: how much that differs
    often: float = 1.0


ACROSS, ANYHOW = 1.5708, 3.2
LOOKS: dict[Kind, Looks] = {
    Kind.CAR: Looks(tuple(Shape(int(shape)) for shape in CARS), (4.5, 1.85, 1.5), PAINTS, loose=0.05),
    Kind.VAN: Looks((Shape.VAN,), (5.6, 2.0, 2.1), PAINTS, loose=0.05),
    Kind.TRUCK: Looks((Shape.TRUCK,), (9.0, 2.5, 3.6), PAINTS, loose=0.03, often=0.5),
    Kind.BUS: Looks((Shape.BUS,), (12.0, 2.55, 3.1), (RED, YELLOW, BLUE, WHITE), loose=0.03, often=0.4),
    Kind.TRAILER: Looks((Shape.TRAILER,), (5.6, 2.2, 2.5), (WHITE, WHITE, GREY, STRAW), loose=0.06),
    Kind.MOTORCYCLE: Looks((Shape.MOTORCYCLIST,), (2.2, 0.8, 1.6), PAINTS, loose=0.1),
    Kind.BICYCLE: Looks((Shape.CYCLIST,), (1.8, 0.6, 1.75), CLOTHES, loose=0.2),
    Kind.PEDESTRIAN: Looks((Shape.PEDESTRIAN,), (0.45, 0.55, 1.72), CLOTHES, loose=ANYHOW, often=2.0),
    Kind.WHEELCHAIR: Looks((Shape.WHEELCHAIR,), (1.05, 0.66, 1.32), CLOTHES, loose=ANYHOW),
    Kind.STROLLER: Looks((Shape.STROLLER,), (0.95, 0.56, 1.05), CLOTHES, loose=ANYHOW),
    Kind.SCOOTER: Looks((Shape.SCOOTER,), (1.15, 0.5, 1.15), (BLACK, GREY, GREEN), loose=ANYHOW),
    Kind.DOG: Looks((Shape.DOG,), (0.95, 0.32, 0.68), (BROWN, TAN, BLACK, STRAW, WHITE), loose=ANYHOW, often=1.5),
    Kind.DEER: Looks((Shape.DEER,), (1.7, 0.48, 1.65), (FAWN, BROWN), loose=ANYHOW, often=1.5),
    Kind.COW: Looks((Shape.COW,), (2.3, 0.75, 1.5), (BROWN, BLACK, WHITE, TAN), loose=ANYHOW, often=0.6),
    Kind.CONE: Looks((Shape.CONE,), (0.44, 0.44, 0.74), (ORANGE,), turned=ACROSS, loose=0.3, often=2.0),
    Kind.BARREL: Looks((Shape.BARREL,), (0.62, 0.62, 1.0), (ORANGE,), turned=ACROSS, loose=0.5),
    Kind.BARRIER: Looks((Shape.BARRIER,), (0.6, 3.0, 0.85), (GREY, (0.68, 0.67, 0.63)), turned=ACROSS, loose=0.4),
    Kind.BOARD: Looks((Shape.BOARD,), (0.5, 1.5, 1.05), (RED, ORANGE), loose=0.3),
    Kind.BOLLARD: Looks((Shape.BOLLARD,), (0.2, 0.2, 1.0), (RED, BLACK, ORANGE), loose=ANYHOW),
    Kind.HYDRANT: Looks((Shape.HYDRANT,), (0.36, 0.4, 0.78), (RED, YELLOW), BESIDE, loose=ANYHOW),
    Kind.SIGN: Looks((Shape.ROAD_SIGN,), (0.08, 0.75, 2.5), (RED, BLUE, YELLOW, WHITE), BESIDE, loose=0.2),
    Kind.BIN: Looks((Shape.BIN,), (0.72, 0.6, 1.1), (GREEN, BLACK, BLUE, GREY), loose=0.6),
    Kind.BOX: Looks((Shape.BOX,), (0.6, 0.5, 0.45), (TAN, STRAW, BROWN), loose=ANYHOW, often=1.5),
    Kind.SUITCASE: Looks((Shape.SUITCASE,), (0.3, 0.5, 0.75), CLOTHES, loose=ANYHOW),
    Kind.TYRE: Looks((Shape.TYRE,), (0.66, 0.22, 0.66), (BLACK,), turned=ACROSS, loose=0.6, often=1.5),
    Kind.LADDER: Looks((Shape.LADDER,), (3.0, 0.45, 0.09), (GREY, STRAW), ROAD, loose=ANYHOW),
    Kind.PLANK: Looks((Shape.PLANK,), (2.4, 0.22, 0.12), (TAN, STRAW), ROAD, loose=ANYHOW),
    Kind.TRUNK: Looks((Shape.TRUNK,), (3.2, 0.5, 0.5), (BROWN,), turned=ACROSS, loose=0.7),
    Kind.DEBRIS: Looks((Shape.DEBRIS,), (1.3, 0.9, 0.28), (GREY, BLACK, BROWN), ROAD, loose=ANYHOW, often=1.5),
}
"""Every kind's. Lengths differ by a tenth."""
