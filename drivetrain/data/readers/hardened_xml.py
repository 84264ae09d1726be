"""XML from files that nobody vouches for: no DTD, no entities, bounded memory, and errors of one line.

Text of the file enters a message only quoted and cut short, so that a message stays one line.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from jaxtyping import Float

from drivetrain.data.recordings.json_fields import refuse
from drivetrain.data.recordings.unpacking import read_bytes

MAX_TAGS = 8_000_000  # '<' in the document: an element costs some 100 bytes however short its text
MAX_NUMBER = 1e9  # no coordinate, size or speed is larger


def quote(text: str | None) -> str:
    """Foreign text, safe to print: escaped and at most 40 characters."""
    return "nothing" if text is None else ascii(text if len(text) <= 40 else text[:37] + "...")


def parse(file: str) -> Element:
    """The root of an XML document: plain, or packed with xz or gzip as the file's name says.

    Raises:
        InputError: the file cannot be read, is truncated, too large (packed or unpacked), not XML, or declares a DTD.
    """
    data = read_bytes(file)
    if data.count(b"<") > MAX_TAGS:
        refuse(file, f"more than {MAX_TAGS} tags", "split the scene")
    try:
        return fromstring(data, forbid_dtd=True)
    except DefusedXmlException:
        refuse(file, "document type or entity declaration", "remove the DTD; entities are never expanded")
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that does not exist
        refuse(file, f"not well-formed XML: {quote(str(error))}", "restore the file")


def number(where: str, text: str | None) -> float:
    """A finite number of plausible size."""
    try:
        value = float(text or "")
    except ValueError:
        refuse(where, f"{quote(text)} is not a number", "give a decimal number")
    if not abs(value) <= MAX_NUMBER:  # NaN fails this too
        refuse(where, f"{quote(text)} is not a finite number below {MAX_NUMBER:g}", "mend or drop the value")
    return value


def integer(where: str, text: str | None, low: int = 0, high: int = 2**53) -> int:
    """An integer from `low` to `high`; ids are integers a float64 holds exactly."""
    try:
        value = int(text or "")
    except ValueError:
        refuse(where, f"{quote(text)} is not an integer", "give a decimal integer")
    if not low <= value <= high:
        refuse(where, f"{value if abs(value) < 10**20 else 'a huge integer'} is not in {low}..{high}", "mend the value")
    return value


def quantity(where: str, element: Element | None) -> float:
    """An `exact` value, or the middle of `intervalStart` and `intervalEnd`."""
    if element is None:
        refuse(where, "missing", "add the element")
    if (exact := element.findtext("exact")) is not None:
        return number(where, exact)
    low, high = number(where, element.findtext("intervalStart")), number(where, element.findtext("intervalEnd"))
    return 0.5 * (low + high)


def point(where: str, element: Element) -> tuple[float, float]:
    """The `x` and `y` of a point."""
    return number(where, element.findtext("x")), number(where, element.findtext("y"))


def points(where: str, parent: Element | None, least: int) -> Float[np.ndarray, "n 2"]:
    """All `point` children, at least `least` of them."""
    coordinates = [] if parent is None else [point(where, element) for element in parent.findall("point")]
    if len(coordinates) < least:
        refuse(where, f"{len(coordinates)} points", f"give at least {least}")
    return np.array(coordinates, np.float64).reshape(-1, 2)


def references(where: str, element: Element, tag: str) -> Iterator[int]:
    """The ids that children of one tag refer to."""
    return (integer(f"{where}: {tag}", child.get("ref")) for child in element.findall(tag))


def by_id(file: str, root: Element, tag: str) -> dict[int, Element]:
    """The elements of one tag by their `id`, which must be unique."""
    result: dict[int, Element] = {}
    for element in root.findall(tag):
        id = integer(f"{file}: {tag}: id", element.get("id"))
        if id in result:
            refuse(f"{file}: {tag} {id}", "two elements with this id", "make the ids unique")
        result[id] = element
    return result


def texts(element: Element, *tags: str) -> set[str]:
    """The texts of all children of some tags."""
    return {(child.text or "").strip() for tag in tags for child in element.findall(tag)}
