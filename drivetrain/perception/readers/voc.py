"""Pascal VOC: an XML file a picture (Everingham et al., The PASCAL Visual Object Classes Challenge, 2010).

Its boxes are whole pixels, the first is 1, and both ends belong to them.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from drivetrain.data.readers.hardened_xml import integer, number, parse
from drivetrain.data.recordings.json_fields import refuse
from drivetrain.perception.labelled import Boxed, Labelled
from drivetrain.perception.readers.checked import MAX_SIDE, boxed, kind_of, picture_at

PICTURES = ("JPEGImages", "images")
"""Folders beside `Annotations` that hold the pictures."""


def voc(folder: str | Path) -> Iterator[Labelled]:
    """Pictures with `FOLDER/Annotations/*.xml`, or XML files beside them. What is `difficult` counts neither way.

    Raises `InputError` on XML that is none, boxes that are not within their picture, and pictures that are not there.
    """
    folder = Path(folder)
    apart = folder / "Annotations"
    for file in sorted((apart if apart.is_dir() else folder).glob("*.xml")):
        root = parse(str(file))
        if root.tag != "annotation":
            refuse(str(file), f"its root is {ascii(root.tag[:40])}, not annotation", "leave the file out")
        size = root.find("size")
        width, height = (_side(f"{file}: size: {tag}", size, tag) for tag in ("width", "height"))
        objects = [_object(f"{file}: object {n}", one, width, height) for n, one in enumerate(root.findall("object"))]
        yield Labelled(
            file=_picture(file, root, folder if apart.is_dir() else None),
            width=width,
            height=height,
            things=tuple(thing for thing, difficult in objects if not difficult),
            ignored=np.array([thing.box for thing, difficult in objects if difficult], np.float64).reshape(-1, 4),
        )


def _side(where: str, size: Element | None, tag: str) -> int:
    return integer(where, None if size is None else size.findtext(tag), 1, MAX_SIDE)


def _picture(file: Path, root: Element, folder: Path | None) -> Path:
    name = (root.findtext("filename") or "").strip() or f"{file.stem}.jpg"
    places = [file.parent] if folder is None else [folder / inner for inner in PICTURES if (folder / inner).is_dir()]
    where = f"{file}: filename"
    if not places:
        refuse(where, f"no folder {' or '.join(PICTURES)} beside Annotations", "bring the pictures")
    return picture_at(where, places[0], name)


def _object(where: str, element: Element, width: int, height: int) -> tuple[Boxed, bool]:
    """A thing, and whether it is difficult."""
    box = element.find("bndbox")
    if box is None:
        refuse(f"{where}: bndbox", "missing", "add it, or drop the object")
    x0, y0, x1, y1 = (number(f"{where}: {tag}", box.findtext(tag)) for tag in ("xmin", "ymin", "xmax", "ymax"))
    corners = boxed(f"{where}: bndbox", [x0 - 1.5, y0 - 1.5, x1 - 0.5, y1 - 0.5], width, height)
    flags = (integer(f"{where}: {tag}", element.findtext(tag, "0"), 0, 1) for tag in ("truncated", "difficult"))
    truncated, difficult = map(bool, flags)
    return Boxed(corners, kind_of(f"{where}: name", element.findtext("name")), truncated=truncated), difficult
