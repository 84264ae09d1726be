"""Pictures take their colours from the page, each in its light scheme."""

import re

from drivetrain.view.style import chart_style, colour, palette, part


def test_colours_are_the_pages():
    assert palette()["accent"] == "#2a5fd8" and "dark" not in part("page.css").split("--accent")[0]
    assert colour("accent") == (0x2A, 0x5F, 0xD8)
    assert colour("#ff0010") == (255, 0, 16)


def test_what_lets_light_through_is_blended():
    """rgba(42, 95, 216, .13) over white and over black."""
    assert colour("route", (255, 255, 255)) == (227, 234, 250)
    assert colour("route", (0, 0, 0)) == (5, 12, 28)


def test_the_style_of_charts_needs_nothing_else():
    style = chart_style()
    assert "var(" not in style and ".c0 {" in style and ".grid {" in style
    assert not re.search(r"svg\.chart|width: 100%", style)
