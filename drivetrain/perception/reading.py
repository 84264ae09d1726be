"""Labelled pictures in whichever format: told, or by what a folder or file holds.

| form     | what it is                                                                        | gives           |
| rendered | a set of `drivetrain data render` (set.json)                                      | things, lines   |
| drawn    | labels.json, and images/                                                          | things, lines   |
| boxes    | boxes.json, and images/                                                           | things          |
| voc      | Pascal VOC: Annotations/ and JPEGImages/, or XML beside pictures                  | things          |
| coco     | a JSON file of COCO instances, or a folder with one (also in annotations/)        | things          |
| tusimple | a file of TuSimple's lane labels, a JSON object a line, or a folder with some     | lines           |
"""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from drivetrain.data.recordings.json_fields import refuse
from drivetrain.perception.labelled import Labelled
from drivetrain.perception.readers.coco import coco
from drivetrain.perception.readers.drawn import drawn_boxes, drawn_lines
from drivetrain.perception.readers.rendered import rendered
from drivetrain.perception.readers.tusimple import tusimple
from drivetrain.perception.readers.voc import voc

FORMS = ("rendered", "drawn", "boxes", "voc", "coco", "tusimple")
PEEK = 1 << 16
"""Bytes of a file that tell its form."""


def read_labelled(path: str | Path, form: str | None = None) -> Iterator[Labelled]:
    """Every picture of a set with its labels, in the set's order; pixels are not read.

    Raises `InputError` where `path` is nothing, or of no form that is known; while it is read, on the first label that
    is wrong.
    """
    path = Path(path)
    if form is not None and form not in FORMS:
        refuse(f"{path}: {form}", "no form of labels", f"use one of {', '.join(FORMS)}")
    if not path.exists():
        refuse(str(path), "no such file or folder", "check the path")
    form = form or _form_of(path)
    whole: dict[str, Callable[[Path], Iterator[Labelled]]]
    whole = {"rendered": rendered, "drawn": drawn_lines, "boxes": drawn_boxes, "voc": voc}
    if form in whole:
        if not path.is_dir():
            refuse(str(path), f"no folder, as labels of the form {form} are", "name the folder")
        return whole[form](path)
    one = coco if form == "coco" else tusimple
    files = [path] if path.is_file() else [file for file in _json_files(path) if _form_of_file(file) == form]
    if not files:
        refuse(str(path), f"no file of the form {form} in it", "name the file")
    return chain.from_iterable(map(one, files))


def _form_of(path: Path) -> str:
    if path.is_file():
        form = _form_of_file(path)
        return form or refuse(str(path), "labels of no form that is known", f"name one of {', '.join(FORMS)}")
    for name, form in (("set.json", "rendered"), ("labels.json", "drawn"), ("boxes.json", "boxes")):
        if (path / name).is_file():
            return form
    if (path / "Annotations").is_dir() or any(path.glob("*.xml")):
        return "voc"
    found = {form for file in _json_files(path) if (form := _form_of_file(file))}
    if len(found) != 1:
        refuse(str(path), "no labels of one form that is known", f"name the file, or one of {', '.join(FORMS)}")
    return found.pop()


def _json_files(folder: Path) -> list[Path]:
    """Those that may be labels; beside COCO's instances its captions and key points are left out."""
    files = sorted(folder.glob("*.json")) + sorted((folder / "annotations").glob("*.json"))
    return [file for file in files if "instances" in file.name] or files


def _form_of_file(file: Path) -> str:
    """The form of a JSON file from its first bytes; empty where it is none that stands in one file."""
    try:
        with open(file, "rb") as stream:
            head = stream.read(PEEK).lstrip()
    except OSError as error:
        refuse(str(file), f"cannot be read: {error.strerror}", "check the path and its permissions")
    if not head.startswith(b"{"):
        return ""
    # COCO's keys may stand beyond the first bytes, in any order.
    return "tusimple" if b'"h_samples"' in head else "coco"
