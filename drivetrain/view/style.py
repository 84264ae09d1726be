"""The page's own files, and its light colours for pictures that are no page."""

import re
from functools import cache
from importlib import resources

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""


def part(name: str) -> str:
    """The text of a file of the page."""
    return (resources.files("drivetrain.view") / "page" / name).read_text(encoding="utf-8")


@cache
def palette() -> dict[str, str]:
    """The variables of the page's light scheme, as CSS has them, by their names."""
    (light, *_) = re.findall(r":root \{(.*?)\}", part("page.css"), re.S)
    return {name: value.strip() for name, value in re.findall(r"--([\w-]+):([^;]+);", light)}


def colour(name: str, over: Colour = (255, 255, 255)) -> Colour:
    """A colour of the page by its name, as it looks over another where it lets some of it through."""
    value = palette().get(name, name)
    if value.startswith("#"):
        red, green, blue = (int(value[i : i + 2], 16) for i in (1, 3, 5))
        return red, green, blue
    *channels, share = (float(number) for number in re.findall(r"[\d.]+", value))
    red, green, blue = (round(share * own + (1.0 - share) * under) for own, under in zip(channels, over, strict=True))
    return red, green, blue


def chart_style() -> str:
    """The rules by which charts are drawn, with the values of the variables put in."""
    rules = re.findall(r"(?:svg\.chart |(?=\.c\d))([^{}]+\{[^{}]*\})", part("report.css"))
    text = "\n".join(rules).replace("svg.chart ", "")
    return re.sub(r"var\(--([\w-]+)\)", lambda found: palette()[found[1]], text)
