"""Files with something changed in them, for campaigns: each is read, or refused in one line."""

import copy
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivetrain.data.recordings.recording import Recording
from drivetrain.types import InputError

WORDS = ["nan", "-1", "0", "1e9", "1e300", "-inf", "", "99999999999999999999", "0x10", "start", "50", "2.5", "é"]
VALUES: list[Any] = [None, "", "x" * 50, -1, 0, 10**9, 10**400, 2.5, True, [], {}, [[]], [[0.0]], {"x": 0}, "é"]


def bytes_changed(honest: bytes, source: random.Random) -> bytes:
    """Up to four bytes changed, and now and then the end cut off."""
    spoilt = bytearray(honest)
    for _ in range(source.randint(1, 4)):
        spoilt[source.randrange(len(spoilt))] = source.randrange(256)
    if source.random() < 0.2:
        del spoilt[source.randrange(len(spoilt)) :]
    return bytes(spoilt)


def values_changed(honest: dict[str, Any], source: random.Random) -> dict[str, Any]:
    """JSON with up to three values replaced, at any depth."""
    spoilt = copy.deepcopy(honest)
    for _ in range(source.randint(1, 3)):
        item: Any = spoilt
        key: Any = source.choice(list(item))
        while isinstance(item[key], dict | list) and item[key] and source.random() < 0.85:
            item = item[key]
            key = source.choice(list(item)) if isinstance(item, dict) else source.randrange(len(item))
        item[key] = copy.deepcopy(source.choice(VALUES))  # the next change may be within it
    return spoilt


def elements_changed(honest: str, source: random.Random) -> str:
    """XML with up to four texts or attributes replaced by odd or by each other's values, or elements dropped."""
    text = honest
    for _ in range(source.randint(1, 4)):
        spots = list(re.finditer(r'(?<==")[^"]*(?=")|(?<=>)[^<>]+(?=<)', text))
        spot = source.choice(spots)
        if source.random() < 0.8:
            other = source.choice(WORDS) if source.random() < 0.7 else source.choice(spots).group()
            text = text[: spot.start()] + other + text[spot.end() :]
        else:
            element = source.choice(list(re.finditer(r"<(\w+)[^<>]*>[^<>]*</\1>", text)))
            text = text[: element.start()] + element.group() * source.choice([0, 2]) + text[element.end() :]
    return text


def survive(read: Callable[[], Recording], file: str, mutants: Callable[[], bytes], rounds: int) -> int:
    """Put mutants in a file's place and read it: how many were read; the others gave one line that names the folder."""
    count = 0
    for _ in range(rounds):
        Path(file).write_bytes(mutants())
        try:
            read()
            count += 1
        except InputError as error:
            assert "\n" not in str(error) and str(error).startswith(str(Path(file).parent)), str(error)
    return count
