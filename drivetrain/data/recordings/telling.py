"""What long work is about, told to whoever listens."""

from collections.abc import Callable

Told = Callable[[str], None]


def silent(words: str) -> None:
    """Tell nobody."""
