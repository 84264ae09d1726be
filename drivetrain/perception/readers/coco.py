"""COCO's instances: one JSON file of pictures, categories and boxes (Lin et al., Microsoft COCO, 2014).

Its boxes are x, y, width, height in lengths: the first pixel is 0 to 1.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from drivetrain.data.recordings.json_fields import MAX_ID, Fields, refuse
from drivetrain.perception.labelled import Boxed, Labelled
from drivetrain.perception.readers.checked import MAX_SIDE, Box, boxed, json_of, kind_of, picture_at, table, text_of

FOLDERS = ("images", "")
"""Where the pictures are, from the folder of the file or the one above; a folder of the file's name may be between."""


def coco(file: str | Path) -> Iterator[Labelled]:
    """Pictures of a file of instances, in its order. Crowds (`iscrowd`) are ignored, and boxes without area left out.

    Raises `InputError` on JSON that is none, missing fields, unknown categories and pictures, ids that are given twice,
    and boxes that are not within their picture.
    """
    file = Path(file)
    body = Fields(str(file), json_of(str(file), text_of(str(file))))
    kinds = {
        one.whole("id", -MAX_ID, MAX_ID): kind_of(f"{one.where}: name", one.values.get("name"))
        for one in body.items("categories")
    }
    pictures: dict[int, Fields] = {}
    for picture in body.items("images"):
        id = picture.whole("id", -MAX_ID, MAX_ID)
        if id in pictures:
            refuse(f"{picture.where}: id", f"{id} is another picture's too", "make the ids unique")
        pictures[id] = picture
    sizes = {id: (one.whole("width", 1, MAX_SIDE), one.whole("height", 1, MAX_SIDE)) for id, one in pictures.items()}
    things: defaultdict[int, list[Boxed]] = defaultdict(list)
    crowds: defaultdict[int, list[Box]] = defaultdict(list)
    for note in body.items("annotations"):
        id = note.whole("image_id", -MAX_ID, MAX_ID)
        if id not in pictures:
            refuse(f"{note.where}: image_id", f"no picture has the id {id}", "drop the annotation")
        category = note.whole("category_id", -MAX_ID, MAX_ID)
        if category not in kinds:
            refuse(f"{note.where}: category_id", f"no category has the id {category}", "add it to categories")
        x, y, width, height = table(f"{note.where}: bbox", [note.values.get("bbox")], 4)[0].tolist()
        if width == 0.0 or height == 0.0:
            continue
        box = boxed(f"{note.where}: bbox", [x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5], *sizes[id])
        if note.values.get("iscrowd", 0) in (0, False):
            things[id].append(Boxed(box, kinds[category]))
        else:
            crowds[id].append(box)
    folder = _folder(file, next(iter(pictures.values()), None))
    for id, picture in pictures.items():
        yield Labelled(
            file=picture_at(f"{picture.where}: file_name", folder, picture.text("file_name")),
            width=sizes[id][0],
            height=sizes[id][1],
            things=tuple(things[id]),
            ignored=np.array(crowds[id], np.float64).reshape(-1, 4),
        )


def _folder(file: Path, first: Fields | None) -> Path:
    """Where the pictures are: the folder in which the first of them is found."""
    if first is None:
        return file.parent
    name, part = first.text("file_name"), file.stem.removeprefix("instances_")
    places = [above / inner / part for above in (file.parent, file.parent.parent) for inner in FOLDERS]
    places += [above / inner for above in (file.parent, file.parent.parent) for inner in FOLDERS]
    found = [place for place in places if name and "\0" not in name and len(name) < 200 and (place / name).is_file()]
    return found[0] if found else file.parent
