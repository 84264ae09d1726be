"""A bank that stays: all of a part's recordings at once."""

from drivetrain.banks.part import Part
from drivetrain.banks.source import Staying
from drivetrain.parallel import on_each


class Resident(Staying):
    """The episodes of a part, those of the first dataset repeated until they are about `own_share` of all drawn."""

    def __init__(self, part: Part, own_share: float = 1.0):
        lot = part.whole
        self.bank, self.episodes = lot.bank, on_each(lot.drawn(own_share))
