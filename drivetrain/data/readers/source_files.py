"""The files of a layout that is told by its endings."""

import os

from drivetrain.data.recordings.json_fields import refuse


def files_below(source: str, endings: str | tuple[str, ...]) -> list[str]:
    """The files below a folder whose names end so, or the file itself, sorted. Raises `InputError` where neither is."""
    if os.path.isfile(source):
        return [source]
    if not os.path.isdir(source):
        refuse(source, "no such file or folder", "check the path")
    return sorted(
        os.path.join(folder, name) for folder, _, names in os.walk(source) for name in names if name.endswith(endings)
    )


def stem(file: str, endings: tuple[str, ...]) -> str:
    """A file's name without its folder and, where it has one of these, its ending."""
    name = os.path.basename(file)
    return next((name.removesuffix(ending) for ending in endings if name.endswith(ending)), name) or name
