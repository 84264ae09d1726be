from fixtures_worlds import DT, drawn

from drivetrain.evaluate.world_tables import of_worlds, world_table, world_tiles
from drivetrain.evaluate.worlds import summarise_worlds

FIGURES = {"own": summarise_worlds(drawn(), DT, 0) | {"maps": ["Here"]}}
FIGURES |= {"own_There": summarise_worlds(drawn(), DT, 0) | {"maps": ["<There>"]}}


def test_figures_of_worlds_are_told_from_those_of_recordings():
    assert of_worlds(FIGURES) and not of_worlds({"idm": {"failure_rate": {}}}) and not of_worlds({})


def test_the_table_has_a_column_for_each_place_and_says_how_lives_ended():
    table = world_table(FIGURES, {"own": "Own"})
    assert "Here, learnt on" in table and "&lt;There&gt;, never seen" in table and "<There>" not in table
    assert "60.0 %" in table and "1 collision, 1 arrived, 1 late" in table and "2 worlds of 2 agents" in table


def test_tiles_are_of_the_first_place():
    tiles = world_tiles(FIGURES)
    assert tiles[0][:2] == ("Goals reached", "60.0 %") and len(tiles) == 4
