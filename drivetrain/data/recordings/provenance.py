"""What of a recording's road its source gave, and what its reader derived: counts for `data info`.

Readers count what they derive; the rest was given. A border is derived where it follows from a lane's centre line (by
neighbours, by painted lines, by a width) and not from an outline. A stop line is derived where the source gives
only a point, a sign's or a light's place, or says no more than that one stops.
"""

import dataclasses

from drivetrain.data.recordings.recording import Recording

BORDERS = (
    "lane_borders_between_neighbours",
    "lane_borders_painted",
    "lane_borders_by_given_width",
    "lane_borders_by_default_width",
)
"""Notes on borders by centre lines; those moved to an outline afterwards are among them."""

FAULTS = frozenset(
    {
        "dangling_references",
        "empty_attributes",
        "headings_derived",
        "lane_successors_apart",
        "lanelets_with_odd_borders",
        "lanelets_without_borders",
        "lanes_degenerate",
        "lanes_without_length",
        "light_states_repeated",
        "links_against_travel",
        "links_over_gaps_dropped",
        "lights_unreadable",
        "links_unreadable",
        "map_features_unreadable",
        "marks_at_no_object",
        "negative_widths",
        "objects_unreadable",
        "one_sided_links_mended",
        "reference_line_gaps",
        "road_lines_too_short",
        "roads_of_another_length",
        "roads_unreadable",
        "scenes_with_headings_in_degrees",
        "signals_unreadable",
        "signals_with_another_ones_id",
        "speed_limits_unreadable",
        "states_given_twice",
        "vehicle_sizes_turned",
    }
)
"""Notes on what a source says wrongly, or not at all, and what was mended or left out for that. What a format holds and
nobody needs (sidewalks, scenery), and what follows by rule from what it does not hold, is no fault."""


def faults(notes: dict[str, int]) -> dict[str, int]:
    """Those of some notes that say what was wrong with a source, and is not zero."""
    return {name: count for name, count in sorted(notes.items()) if name in FAULTS and count}


def counted(recording: Recording) -> Recording:
    """The recording with the counts of `given_and_derived` among its notes."""
    return dataclasses.replace(recording, notes=recording.notes | given_and_derived(recording))


def given_and_derived(recording: Recording) -> dict[str, int]:
    """How many borders, links, neighbours and stop lines were given, how many derived; and limits that are unknown.

    A neighbour counts once for each of the two lanes, a link once.
    """
    lanes, notes = recording.lanes, recording.notes
    sides = [side for lane in lanes for side in (lane.left_neighbour, lane.right_neighbour) if side is not None]
    derived = {
        "lane_borders": sum(notes.get(name, 0) for name in BORDERS) - notes.get("lane_borders_by_outline", 0),
        "lane_successors": notes.get("lane_successors_derived", 0),
        "lane_neighbours": notes.get("lane_neighbours_derived", 0),
        "stop_lines": notes.get("stop_lines_derived", 0),
    }
    all_of_them = {
        "lane_borders": 2 * len(lanes),
        "lane_successors": sum(len(lane.successors) for lane in lanes),
        "lane_neighbours": len(sides),
        "stop_lines": len(recording.control_lines),
    }
    counts = {"speed_limits_unknown": sum(lane.drivable and lane.speed_limit <= 0.0 for lane in lanes)}
    for fact, count in all_of_them.items():
        counts |= {f"{fact}_given": count - derived[fact], f"{fact}_derived": derived[fact]}
    return counts
