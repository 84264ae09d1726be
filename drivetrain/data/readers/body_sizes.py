"""Sizes of road users where a data set gives none: what is usual for a kind."""

from drivetrain.types import AgentKind

SIZES = {
    AgentKind.CAR: (4.6, 1.9),
    AgentKind.TRUCK: (8.0, 2.5),
    AgentKind.BUS: (12.0, 2.55),
    AgentKind.MOTORCYCLE: (2.1, 0.8),
    AgentKind.BICYCLE: (1.8, 0.7),
    AgentKind.PEDESTRIAN: (0.6, 0.6),
    AgentKind.OTHER: (1.0, 1.0),
}
"""Length and width, m."""
MAX_SIZE = 60.0
"""No road user is longer, m."""
