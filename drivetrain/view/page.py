"""One self-contained HTML page: no request leaves it, and it works from a file.

Text and data are escaped where they enter; the page's own script is named by its hash in a content security policy, so
that nothing else runs whatever a recording is called.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from string import Template

import jax
import numpy as np

from drivetrain.types import Route, Scenario
from drivetrain.view.drawing import Episode, Scene, page_data
from drivetrain.view.style import part

SCRIPTS = ("decode.js", "draw.js", "controls.js", "replay.js", "charts.js", "start.js")
STYLES = ("page.css", "report.css")


def build_page(title: str, replay: Mapping[str, object] | None = None, body: str = "", layout: str = "app") -> str:
    """A whole page as one string.

    `replay` is `drawing.page_data(…)`; None: no replay. `body` is HTML, already escaped, above the replay. `layout` is
    "app" (the replay fills the window) or "report" (it follows the text).
    """
    script = '(() => {\n"use strict";\n' + "\n".join(part(name) for name in SCRIPTS) + "})();\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    sections = body + (part("replay.html") if replay is not None else "")
    return Template(part("page.html")).substitute(
        HASH=f"sha256-{digest}",
        TITLE=html.escape(title),
        STYLE="\n".join(part(name) for name in STYLES),
        LAYOUT=html.escape(layout),
        BODY=sections if layout == "app" else f"<main>{sections}</main>",
        DATA=embed_json({} if replay is None else replay),
        SCRIPT=script,
    )


def scene_page(title: str, scenes: Sequence[Scene], episodes: Sequence[Episode] = ()) -> str:
    """The page of recordings alone: `episodes` (see `ego_episodes`), or each recording whole without them."""
    shown = list(episodes) or [Episode(i, (), 0, int(scene.log.steps) - 1) for i, scene in enumerate(scenes)]
    count = f"{len(scenes)} recording" + ("" if len(scenes) == 1 else "s")
    heading = f"<header><h1>{html.escape(title)}</h1><p>{count}</p></header>"
    return build_page(title, page_data(scenes, shown), heading)


def ego_episodes(scene: int, scenario: Scenario, notes: Mapping[int, str] | None = None) -> list[Episode]:
    """The whole recording, then one episode for each agent that could be controlled, with its route.

    `notes` names, by row of the egos, why one is left out.
    """
    egos = scenario.egos
    rows = [row for row in range(len(egos.track)) if egos.track[row] >= 0]
    whole = Episode(scene, (), 0, int(scenario.log.steps) - 1)
    return [whole] + [
        Episode(
            scene,
            (int(egos.track[row]),),
            int(egos.first[row]),
            int(egos.last[row]),
            (_row(egos.route, row),),
            note=(notes or {}).get(row, ""),
        )
        for row in rows
    ]


def embed_json(value: object) -> str:
    """JSON that stays data inside a script element: no `<`, `>`, `&` or line separator survives as itself."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _row(route: Route, row: int) -> Route:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[row], route)
