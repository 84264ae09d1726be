"""Names told apart: what has a name of its own keeps it, what shares one is named by where it lies."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

LONGEST = 200
"""Characters of a name, at most."""


def named_apart(names: Sequence[str], files: Sequence[str]) -> list[str]:
    """The names, those that come twice with as much of their files' paths before them as tells them apart.

    `a/x/map.xodr` and `a/y/map.xodr` are `x-map` and `y-map`. Where no path does, they are numbered.
    """
    result, counts = list(names), Counter(names)
    taken = {name for name, count in counts.items() if count == 1}
    for name in [name for name, count in counts.items() if count > 1]:
        rows = [row for row, other in enumerate(names) if other == name]
        fresh = _by_path(name, [files[row] for row in rows], taken)
        for row, other in zip(rows, fresh, strict=True):
            result[row] = other
        taken |= set(fresh)
    return result


def _by_path(name: str, files: list[str], taken: set[str]) -> list[str]:
    """One name made as many as it has files, none of which is taken."""
    parts = [PurePath(file).parts for file in files]
    paths = [[part.replace("\\", "-") for part in path if part.strip("./\\")] for path in parts]
    if len({path[-1] for path in paths}) == 1:  # files of one name: their folders tell
        paths = [path[:-1] for path in paths]
    for depth in range(1, max(map(len, paths)) + 1):
        longer = ["-".join([*path[-depth:], name]) for path in paths]
        if len({*longer} - taken) == len(files) and max(map(len, longer)) <= LONGEST:
            return longer
    free = (
        other for number in range(1, len(files) + len(taken) + 1) if (other := f"{name[:180]}-{number}") not in taken
    )
    return [next(free) for _ in files]
