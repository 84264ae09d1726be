from hypothesis import given, settings
from hypothesis import strategies as st

from drivetrain.data.recordings.naming import LONGEST, named_apart

WORDS = st.sampled_from(["a", "b", "map", "a-map"])
FILES = st.lists(
    st.builds(lambda folder, word: (word, f"{folder}/{word}.x"), st.sampled_from("abc"), WORDS), unique=True
)


def test_as_much_of_the_path_as_tells_apart():
    names, files = ["map", "map", "other"], ["/d/x/1/map.xodr", "/d/y/1/map.xodr", "/d/z/other.xodr"]
    assert named_apart(names, files) == ["x-1-map", "y-1-map", "other"]
    assert named_apart(["map", "map"], ["x/map.xodr", "map.xodr"]) == ["x-map", "map"]
    assert named_apart(["s1", "s1"], ["d/one.tfrecord#00003", "d/two.tfrecord#00001"]) == [
        "one.tfrecord#00003-s1",
        "two.tfrecord#00001-s1",
    ]


def test_a_name_that_another_has_is_not_given():
    assert named_apart(["map", "map", "x-map"], ["a/x/map", "a/y/map", "x-map"]) == ["a-x-map", "a-y-map", "x-map"]


def test_what_no_path_tells_apart_is_numbered():
    assert named_apart(["map", "map", "map-1"], ["a", "a", "b"]) == ["map-2", "map-3", "map-1"]
    long = ["n" * LONGEST] * 2
    assert named_apart(long, ["a/n", "b/n"]) == ["n" * 180 + "-1", "n" * 180 + "-2"]


@settings(deadline=None)
@given(FILES)
def test_names_are_told_apart_and_others_stay(items):
    names, files = [name for name, _ in items], [file for _, file in items]
    apart = named_apart(names, files)
    assert len(set(apart)) == len(apart)
    assert all(new == old for new, old in zip(apart, names, strict=True) if names.count(old) == 1)
