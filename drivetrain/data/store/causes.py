"""Why vehicles of a dataset may or may not be driven: a table of causes, from its manifest alone."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from drivetrain.data.compile.drafting import MOVED, SEEN, UNROUTED
from drivetrain.data.store.manifest import EgoEntry, Entry, Manifest

Figures = dict[str, int | float]

BEYOND = (0.25, 0.5, 1.0, 2.0)
"""By how much a recorded drive leaves its route, or the road: counted up to each, m, and beyond the last."""
NOT_DRIVEN = "not_driven_"
"""How the notes begin that count vehicles without a drive or a route."""
TITLES = {
    "vehicles": "vehicles in all",
    "admitted": "may be driven",
    "collision": "its own log collides",
    "off_route": "its own log leaves its route",
    "not_selected": "not selected",
    "not_checked": "not checked yet",
    "no_lane": "drives, but on no lane at some place",
    "no_route": "drives on lanes that do not follow each other",
    "other_kinds": "drives on lanes for other kinds",
    "short": f"seen for less than {SEEN:g} s without a gap",
    "parked": f"stands still: moves less than {MOVED:g} m",
    "coupled": "tows or is towed: two tracks are one vehicle",
    "no_room": "beyond the capacity",
    "off_road": "its own log leaves the road (keeps nobody out)",
    "road_unknown": "whether it is on the road is unknown at some step (keeps nobody out)",
}
"""What each row of the table is, in its order."""


def causes(manifest: Manifest) -> dict[str, Figures]:
    """Figures of vehicles by cause, in the order of `TITLES`; what nobody is, is left out."""
    entries = manifest.recordings
    egos = [ego for entry in entries for ego in entry.egos]
    admitted = [ego for ego in egos if ego.cause is None]
    rows: dict[str, Figures] = {
        "admitted": {
            "count": len(admitted),
            "in_lanes": sum(ego.in_lanes for ego in admitted),
            "in_corridor": sum(ego.widened for ego in admitted),
            "trimmed_to_the_road": sum(ego.trimmed > 0 for ego in admitted),
        },
        **{
            cause: {"count": count}
            for cause, count in Counter(ego.cause or "not_checked" for ego in egos if ego.cause is not None).items()
        },
        **{cause: _unrouted(entries, cause) for cause in UNROUTED},
        **{
            cause: {"count": sum(entry.notes.get(NOT_DRIVEN + cause, 0) for entry in entries)}
            for cause in ("short", "parked", "coupled", "no_room")
        },
        "off_road": _beyond([ego.worst.off_road for ego in egos if ego.worst and ego.worst.off_road < 0.0]),
        "road_unknown": {"count": sum(ego.worst.road_unknown for ego in egos if ego.worst)},
    }
    if "off_route" in rows:
        rows["off_route"] |= _beyond([ego.worst.off_route for ego in egos if ego.worst and ego.cause == "off_route"])
    rows["short"]["least_seconds"], rows["parked"]["least_metres"] = SEEN, MOVED
    counts = sum(int(row["count"]) for cause, row in rows.items() if cause not in ("off_road", "road_unknown"))
    rows["vehicles"] = {"count": counts}
    order = [*TITLES, *sorted(rows.keys() - TITLES.keys())]
    return {cause: rows[cause] for cause in order if rows.get(cause, {}).get("count")}


def table(rows: dict[str, Figures]) -> str:
    """The table of causes as lines of text."""
    every = max(int(rows.get("vehicles", {}).get("count", 0)), 1)
    lines = []
    for cause, row in rows.items():
        count = int(row["count"])
        more = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in row.items() if name not in _SAID)
        lines.append(
            f"{count:>8} {100 * count / every:>5.1f} %  {TITLES.get(cause, cause)}" + (f" ({more})" if more else "")
        )
    return "\n".join(lines)


_SAID = ("count", "least_seconds", "least_metres")


def recorders(manifest: Manifest) -> dict[str, Figures]:
    """Figures of the egos that recorded, apart from those of all others; empty where no recording names them.

    `drives` counts egos whose log was checked. Off route and collisions are those that keep an ego out; off road counts
    every ego that is known to be off it at some step.
    """
    own, others = [], []
    for entry in manifest.recordings:
        for ego in entry.egos:
            (own if ego.track_id == entry.recorder else others).append(ego)
    named = sum(entry.recorder is not None for entry in manifest.recordings)
    if not named:
        return {}
    about: Figures = {"named": named, "not_named": len(manifest.recordings) - named}
    return {"recorders": about | _judged(own), "others": _judged(others)}


def recorders_table(rows: dict[str, Figures]) -> str:
    """What `recorders` finds, as lines of text; empty where no recording names them."""
    if not rows:
        return ""
    own, lines = rows["recorders"], []
    for title, row in (("recorded ego vehicles", own), ("all others", rows["others"])):
        drives = max(int(row["drives"]), 1)
        shares = ", ".join(
            f"{name.replace('_', ' ')} {row[name]:g} ({100.0 * row[name] / drives:.1f} %)" for name in _JUDGED
        )
        lines.append(f"{title}: {row['drives']:g} drives, {shares}")
    lines.append(f"recorded ego vehicles are named in {own['named']} recordings, not in {own['not_named']}")
    return "\n".join(lines)


_JUDGED = ("off_route", "off_road", "collision", "road_unknown")


def _judged(egos: Sequence[EgoEntry]) -> Figures:
    """How many of some egos were checked, and of how many the log does what."""
    checked = [(ego.cause, ego.worst) for ego in egos if ego.worst]
    return {
        "drives": len(checked),
        "off_route": sum(cause == "off_route" for cause, _ in checked),
        "off_road": sum(worst.off_road < 0.0 for _, worst in checked),
        "collision": sum(cause == "collision" for cause, _ in checked),
        "road_unknown": sum(worst.road_unknown for _, worst in checked),
    }


def worst_cases(manifest: Manifest, number: int) -> list[tuple[Entry, int, str]]:
    """Recording, row of its egos and what is wrong, of the worst so many egos of each cause, and off the road."""
    found: list[tuple[str, float, Entry, int]] = []
    for entry in manifest.recordings:
        for row, ego in enumerate(entry.egos):
            found += [(cause, margin, entry, row) for cause, margin in _faults(ego)]
    found.sort(key=lambda item: (item[0], item[1], item[2].name, item[3]))
    shown: list[tuple[Entry, int, str]] = []
    for cause in dict.fromkeys(item[0] for item in found):
        mine = [item for item in found if item[0] == cause][:number]
        shown += [(entry, row, f"{cause} by {-margin:.2f} m") for _, margin, entry, row in mine]
    return shown


def _faults(ego: EgoEntry) -> list[tuple[str, float]]:
    """What is wrong with an ego's recorded drive, and its margin."""
    if ego.worst is None:
        return []
    own = [(ego.cause, getattr(ego.worst, ego.cause))] if ego.cause in ("collision", "off_route") else []
    return own + ([("off_road", ego.worst.off_road)] if ego.worst.off_road < 0.0 else [])


def _unrouted(entries: Sequence[Entry], cause: str) -> Figures:
    metres = [each.metres for entry in entries for each in entry.unrouted if each.cause == cause]
    return {"count": len(metres)} | ({"median_metres": median(metres), "most_metres": max(metres)} if metres else {})


def _beyond(margins: Sequence[float]) -> Figures:
    """How many margins there are, none above zero, and by how much they are below it: 0 is less than a millimetre."""
    by = [-margin for margin in margins]
    figures: Figures = {"count": len(by)}
    low = -1.0
    for high in BEYOND:
        figures[f"to_{high:g}_m"] = sum(low < each <= high for each in by)
        low = high
    return figures | {f"beyond_{BEYOND[-1]:g}_m": sum(each > low for each in by)}
