import dataclasses

from fixtures_runs import recorded

from drivetrain.data.compile.capacity import NOTHING
from drivetrain.data.store.causes import causes, recorders, recorders_table, table, worst_cases
from drivetrain.data.store.manifest import VERSION, EgoEntry, Manifest, Unrouted, Worst, decode, encode


def ego(cause, route=1.0, road=1.0, **fields):
    worst = None if cause == "" else Worst(route, road, 5.0 if cause != "collision" else -0.5, road_unknown=False)
    return EgoEntry(1, 1, 0, 9, cause, worst=worst, **fields)


def manifest():
    one = dataclasses.replace(
        recorded("one", "train", 0)[0],
        egos=(
            ego(None),
            ego(None, widened=True),
            ego(None, trimmed=4),
            ego("off_route", -0.25),
            ego("off_route", -3.0, -1.5),
        ),
        unrouted=(Unrouted(7, "no_route", 68.0), Unrouted(8, "no_route", 10.0), Unrouted(9, "other_kinds", 30.0)),
        notes={"not_driven_parked": 5, "not_driven_short": 2, "not_driven_no_route": 2},
    )
    two = dataclasses.replace(
        recorded("two", "train", 1)[0],
        egos=(ego("collision"), ego(""), EgoEntry(2, 1, 0, 9, None, worst=Worst(1.0, 50.0, 9.0, True))),
        notes={"not_driven_parked": 1},
    )
    return Manifest(VERSION, 0.2, NOTHING, (one, two))


def test_every_vehicle_counts_under_one_cause():
    rows = causes(manifest())
    assert {name: row["count"] for name, row in rows.items()} == {
        "vehicles": 19, "admitted": 4, "collision": 1, "off_route": 2, "not_checked": 1, "no_route": 2,
        "other_kinds": 1, "short": 2, "parked": 6, "off_road": 1, "road_unknown": 1,
    }  # fmt: skip
    own = sum(row["count"] for name, row in rows.items() if name not in ("vehicles", "off_road", "road_unknown"))
    assert own == rows["vehicles"]["count"]


def test_by_how_much_and_with_which_thresholds():
    rows = causes(manifest())
    assert rows["admitted"] == {"count": 4, "in_lanes": 2, "in_corridor": 1, "trimmed_to_the_road": 1}
    beyond = {"to_0.25_m": 1, "to_0.5_m": 0, "to_1_m": 0, "to_2_m": 0, "beyond_2_m": 1}
    assert rows["off_route"] == {"count": 2} | beyond
    assert rows["off_road"]["to_2_m"] == 1
    assert rows["no_route"] == {"count": 2, "median_metres": 39.0, "most_metres": 68.0}
    assert rows["short"]["least_seconds"] == 4.0 and rows["parked"]["least_metres"] == 5.0


def test_the_table_says_it_in_words():
    text = table(causes(manifest()))
    for words in ("less than 4 s", "less than 5 m", "beyond 2 m 1", "most metres 68", "lanes for other kinds"):
        assert words in text


def test_the_worst_of_each_cause():
    found = [(entry.name, row, words) for entry, row, words in worst_cases(manifest(), 1)]
    assert found == [
        ("two", 0, "collision by 0.50 m"),
        ("one", 4, "off_road by 1.50 m"),
        ("one", 4, "off_route by 3.00 m"),
    ]
    assert len(worst_cases(manifest(), 9)) == 4


def test_the_manifest_keeps_it():
    whole = dataclasses.replace(manifest(), recordings=())
    kept = decode(encode(whole), "m")
    assert kept == whole
    body = dataclasses.asdict(manifest())["recordings"][0]
    assert body["unrouted"][0] == {"track_id": 7, "cause": "no_route", "metres": 68.0}
    assert body["egos"][4]["worst"]["off_road"] == -1.5


def recorded_by(recorder, *egos):
    return dataclasses.replace(recorded(f"by-{recorder}-{len(egos)}", "train", 0)[0], egos=egos, recorder=recorder)


def test_those_that_recorded_stand_apart_from_all_others():
    seven, eight = (lambda *a, id=id, **k: dataclasses.replace(ego(*a, **k), track_id=id) for id in (7, 8))
    scenes = (
        recorded_by(7, seven("off_route", -0.5), eight("collision"), eight(None)),
        recorded_by(8, seven("off_route", -0.5), eight(None, 1.0, -0.2), seven("")),  # the last was not checked
        recorded_by(9, seven(None)),  # the one that recorded stood still
        recorded_by(None, seven("collision")),
    )
    whole = Manifest(VERSION, 0.2, NOTHING, scenes)
    nothing = {"off_route": 0, "off_road": 0, "collision": 0, "road_unknown": 0}
    assert recorders(whole) == {
        "recorders": {"named": 3, "not_named": 1, "drives": 2} | nothing | {"off_route": 1, "off_road": 1},
        "others": {"drives": 5} | nothing | {"off_route": 1, "collision": 2},
    }
    assert recorders_table(recorders(whole)).splitlines() == [
        "recorded ego vehicles: 2 drives, off route 1 (50.0 %), off road 1 (50.0 %), collision 0 (0.0 %), "
        "road unknown 0 (0.0 %)",
        "all others: 5 drives, off route 1 (20.0 %), off road 0 (0.0 %), collision 2 (40.0 %), road unknown 0 (0.0 %)",
        "recorded ego vehicles are named in 3 recordings, not in 1",
    ]


def test_where_nobody_is_named_nothing_stands_apart_and_the_manifest_says_nothing_of_it():
    whole = Manifest(VERSION, 0.2, NOTHING, (recorded_by(None, ego(None)),))
    assert recorders(whole) == {} and recorders_table({}) == ""
    assert b"recorder" not in encode(whole)
    assert b'"recorder": 7' in encode(dataclasses.replace(whole, recordings=(recorded_by(7, ego(None)),)))


def test_who_leaves_the_route_by_less_than_a_millimetre_counts():
    """Margins are kept to the millimetre."""
    whole = Manifest(VERSION, 0.2, NOTHING, (recorded_by(None, ego("off_route", -0.0), ego("off_route", -0.3)),))
    rows = causes(whole)
    assert rows["vehicles"]["count"] == rows["off_route"]["count"] == 2
    assert (rows["off_route"]["to_0.25_m"], rows["off_route"]["to_0.5_m"]) == (1, 1)
