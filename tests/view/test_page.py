"""The page as text, and in a browser where there is one."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import scenes

from drivetrain.view.drawing import MARGINS, Drive, Episode, Scene
from drivetrain.view.page import build_page, ego_episodes, embed_json, page_data, scene_page

HOSTILE = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">&\u2028\''

PIXEL = "data:image/svg+xml,%%3Csvg xmlns='http://www.w3.org/2000/svg' id='a%d'/%%3E"
"""A picture of its number."""


def replay():
    """Two drives of one ego: one is safe, the other hits something at step 4."""
    compiled = scenes.scenario(scenes.crossing())
    _, ego = ego_episodes(0, compiled)
    moments = ego.last - ego.first + 1
    position = np.asarray(compiled.log.agents.position)[ego.first : ego.last + 1, ego.tracks[0]][:, None]
    drives = []
    for name, aside in (("log", 0.0), ("bc", 1.0)):
        margins = np.full((moments, 1, len(MARGINS)), 3.0)
        margins[4, 0, 0] = 3.0 - 4.0 * aside
        heading = np.tile([[[1.0, 0.0]]], (moments, 1, 1))
        speed, limit = np.full((moments, 1), 10.0), np.full((moments, 1), 15.0)
        drives.append(Drive(name, position + aside, heading, speed, limit, margins, np.ones((moments, 1), bool), 1.0))
    frames = {"bc": [PIXEL % shade for shade in range(moments)]}
    episode = Episode(0, ego.tracks, ego.first, ego.last, ego.routes, tuple(drives), frames=frames)
    return page_data(
        [Scene(HOSTILE, 0.2, compiled.map, compiled.log, HOSTILE)], [episode], {"log": "Log", "bc": "Cloning"}
    )


class Addresses(HTMLParser):
    """Everything that an element would load or lead to."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attrs):
        self.seen += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data", "poster")]


@pytest.fixture(scope="module")
def page():
    return build_page(HOSTILE, replay())


def data_of(page):
    found = re.search(r'<script type="application/json" id="replay-data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found.group(1))


def test_data_comes_back_whatever_the_name(page):
    assert data_of(page)["scenes"][0]["name"] == HOSTILE


def test_hostile_text_stays_text(page):
    assert "<img src" not in page
    assert page.count("<script") == page.count("</script>") == 2
    assert "<title>&lt;/script&gt;" in page


def test_nothing_is_fetched(page):
    found = Addresses()
    found.feed(page)
    assert found.seen == ["data:,"]
    assert not re.search(r"\bfetch\(|XMLHttpRequest|import\(|@import|url\(|WebSocket|sendBeacon", page)
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # the name of a namespace


def test_the_policy_names_the_script(page):
    script = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page and "default-src 'none'" in page


@pytest.mark.parametrize("text", ["<", "</script>", "<!--", "&amp;", "\u2028", "\x00", "é"])
def test_json_in_a_script_has_no_markup(text):
    embedded = embed_json({"a": text})
    assert json.loads(embedded) == {"a": text}
    assert not set("<>&\u2028") & set(embedded)


def test_no_number_that_is_none():
    with pytest.raises(ValueError):
        embed_json({"a": float("nan")})


def test_recordings_without_drives():
    compiled = scenes.scenario(scenes.straight_road())
    shown = [Scene("one", 0.2, compiled.map, compiled.log), Scene("two", 0.2, compiled.map, compiled.log)]
    assert len(data_of(scene_page("both", shown))["episodes"]) == 2
    assert "2 recordings" in scene_page("both", shown)
    assert data_of(build_page("none")) == {}


# ------------------------------------------------------------------------------------------------------------- browser


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with (
        sync_api.sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=arguments) as browser,
    ):
        yield browser


@pytest.fixture
def opened(browser, page, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    tab = browser.new_page(viewport={"width": 1100, "height": 700})
    tab.problems = []
    tab.requests = []
    tab.on("pageerror", lambda error: tab.problems.append(str(error)))
    tab.on("console", lambda message: tab.problems.append(message.text) if message.type == "error" else None)
    tab.on("request", lambda request: tab.requests.append(request.url))
    tab.goto(file.as_uri())
    yield tab
    tab.close()


def test_the_page_plays(opened):
    sync_api = pytest.importorskip("playwright.sync_api")
    assert opened.locator(".count").inner_text() == "1 episode, 1 fails"
    assert "Collision" in opened.locator(".list ol").inner_text()
    assert opened.locator(".marks button").count() == 1
    clock = opened.locator(".clock")
    assert clock.inner_text().startswith("0.0 of")
    opened.keyboard.press("ArrowRight")
    assert clock.inner_text().startswith("0.2 of")
    opened.locator(".marks button").click()
    assert clock.inner_text().startswith("0.8 of")
    assert "−1.00 m" in opened.locator(".readout").inner_text()
    opened.keyboard.press("Home")
    opened.locator(".play").click()
    assert "playing" in opened.locator(".replay").get_attribute("class")
    # A busy machine without a GPU may take seconds to draw the first frame.
    sync_api.expect(clock).not_to_contain_text("0.0 of", timeout=30_000)
    assert opened.problems == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []


def test_another_driver_of_the_same_episode(opened):
    opened.get_by_role("button", name="Log", exact=True).click()
    assert opened.locator(".marks button").count() == 0
    opened.select_option('[data-filter="driver"]', "log")
    assert opened.locator(".count").inner_text() == "1 episode, 0 fail"
    opened.select_option('[data-filter="outcome"]', "fail")
    assert opened.get_by_text("No episode matches these filters.").is_visible()
    assert opened.problems == []


def test_the_camera_moves_what_is_drawn(opened):
    shot = lambda: opened.evaluate("document.querySelector('canvas').toDataURL()")  # noqa: E731
    first = shot()
    box = opened.locator("canvas").bounding_box()
    opened.mouse.move(box["x"] + 200, box["y"] + 200)
    opened.mouse.wheel(0, -400)
    zoomed = shot()
    assert zoomed != first
    opened.mouse.down()
    opened.mouse.move(box["x"] + 260, box["y"] + 240)
    opened.mouse.up()
    assert shot() != zoomed
    assert opened.get_by_role("button", name="Follow the ego").get_attribute("aria-pressed") == "false"


def test_what_a_camera_would_see_follows_the_drive(opened):
    seen, frame = opened.locator(".seen"), opened.locator(".seen img")
    assert seen.is_visible() and frame.get_attribute("src") == PIXEL % 0 and frame.get_attribute("alt")
    opened.keyboard.press("ArrowRight")
    assert frame.get_attribute("src") == PIXEL % 1
    opened.keyboard.press("End")
    assert frame.get_attribute("src") == PIXEL % (len(data_of(opened.content())["episodes"][0]["frames"]["bc"]) - 1)
    seen.locator("summary").click()
    assert not frame.is_visible()
    opened.get_by_role("button", name="Log", exact=True).click()
    assert not seen.is_visible() and frame.get_attribute("src") is None
    assert opened.problems == []


def test_hostile_names_do_nothing(opened):
    assert opened.evaluate("window.hacked") is None
    assert HOSTILE.replace("\u2028", " ")[:30] in opened.locator(".titles").inner_text()


def test_every_control_has_a_name(opened):
    controls = opened.locator("button, select").all()
    assert len(controls) > 12
    assert all(control.evaluate("e => e.ariaLabel || e.textContent.trim()") for control in controls)
