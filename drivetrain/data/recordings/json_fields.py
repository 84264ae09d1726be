"""JSON objects from files that nobody vouches for: every value is asked for by name, type and range."""

from dataclasses import dataclass
from typing import Any, NoReturn

from drivetrain.types import InputError

MAX_EXTENT = 1e5  # m: float32 still resolves 8 mm at its far end
MAX_ID = 2**53  # ids are integers a float64 holds exactly
MAX_TEXT = 1000  # characters


def refuse(where: str, what: str, remedy: str = "write the file again") -> NoReturn:
    """Raise the one-line `InputError` of a bad file."""
    raise InputError(f"{where}: {what} ({remedy})")


@dataclass(frozen=True)
class Fields:
    """A JSON object from a file that nobody vouches for: every value is asked for by name and type."""

    where: str
    values: Any

    def __post_init__(self):
        if not isinstance(self.values, dict):
            refuse(self.where, "no JSON object")

    def text(self, name: str) -> str:
        """A text of at most 1000 characters on one line."""
        value = self.values.get(name)
        if not isinstance(value, str) or len(value) > MAX_TEXT or not (value.isprintable() or not value):
            refuse(f"{self.where}: {name}", "no text on one line")
        return value

    def one_of(self, name: str, words: tuple[str, ...]) -> str:
        """One of some words."""
        value = self.text(name)
        return value if value in words else refuse(f"{self.where}: {name}", f"none of {', '.join(words)}")

    def truth(self, name: str) -> bool:
        """True or false."""
        value = self.values.get(name)
        return value if isinstance(value, bool) else refuse(f"{self.where}: {name}", "neither true nor false")

    def whole(self, name: str, low: int, high: int) -> int:
        """An integer from `low` to `high`."""
        return _integer(f"{self.where}: {name}", self.values.get(name), low, high)

    def real(self, name: str, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        return _number(f"{self.where}: {name}", self.values.get(name), low, high)

    def reals(self, name: str, count: int) -> list[float]:
        """So many coordinates."""
        values = self._list(name)
        if len(values) != count:
            refuse(f"{self.where}: {name}", f"{len(values)} numbers instead of {count}")
        return [_number(f"{self.where}: {name}", value, -MAX_EXTENT, MAX_EXTENT) for value in values]

    def ids(self, name: str) -> tuple[int, ...]:
        """Ids."""
        return tuple(_integer(f"{self.where}: {name}", value, -MAX_ID, MAX_ID) for value in self._list(name))

    def id_or_none(self, name: str) -> int | None:
        """An id, or nothing."""
        return None if self.values.get(name) is None else self.whole(name, -MAX_ID, MAX_ID)

    def counts(self, name: str) -> dict[str, int]:
        """Counts by name."""
        values = self.values.get(name)
        if not isinstance(values, dict) or not all(key.isprintable() and len(key) < 100 for key in values):
            refuse(f"{self.where}: {name}", "no counts by name")
        return {key: _integer(f"{self.where}: {name}", value, 0, MAX_ID) for key, value in values.items()}

    def items(self, name: str) -> list["Fields"]:
        """The objects of a list."""
        return [Fields(f"{self.where}: {name} {index}", value) for index, value in enumerate(self._list(name))]

    def _list(self, name: str) -> list[Any]:
        value = self.values.get(name)
        return value if isinstance(value, list) else refuse(f"{self.where}: {name}", "no list")


def _integer(where: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        refuse(where, f"no integer from {low} to {high}")
    return value


def _number(where: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        refuse(where, f"no number from {low:g} to {high:g}")
    return float(value)
