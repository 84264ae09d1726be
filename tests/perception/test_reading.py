"""Every format, hand-made and small, against what was written; every field spoilt; files changed at random."""

import copy
import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scenes
from fixtures_mutation import elements_changed, values_changed
from PIL import Image

from drivetrain.camera import sets
from drivetrain.camera.beside import Laying
from drivetrain.camera.pinhole import back_project, from_camera, mounted
from drivetrain.camera.sets import Plan, render_set
from drivetrain.data.store.manifest import EgoEntry, Entry
from drivetrain.data.store.shards import write_dataset
from drivetrain.perception.pixels import read_pixels
from drivetrain.perception.reading import read_labelled
from drivetrain.types import InputError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "datasets" / "camera"


def picture(file, size=(64, 40)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(file)


RENDERED = {
    "file": "000000.png",
    "recording": "one",
    "step": 3,
    "agent": 0,
    "width": 64,
    "height": 40,
    "fx": 50.0,
    "fy": 50.0,
    "cx": 31.5,
    "cy": 19.5,
    "mount": {"x": 0.4, "y": 0.0, "z": 1.45, "pitch": 0.0, "roll": 0.0, "yaw": 0.0},
    "shift": [0.1, -0.2, 0.05],
    "tilt": [0.01, 0.02, -0.03],
    "boxes": [
        {
            "box": [10.0, 12.0, 30.5, 20.0],
            "whole": [9.0, 12.0, 31.0, 20.0],
            "kind": "car",
            "depth": 12.5,
            "visible": 0.75,
            "truncated": False,
            "agent": 2,
        }
    ],
    "lanes": [
        {
            "role": "ego_left",
            "paint": "dashed",
            "points": [[30.0, 20.0, 40.0], [10.0, 39.0, 4.0]],
            "visible": [False, True],
            "aside": 1.7,
        }
    ],
}
DRAWN = [
    {
        "image": "a.png",
        "width": 64,
        "height": 40,
        "clip": "c",
        "time_s": None,
        "lanes": [
            {"role": "ego_left", "colour": "white", "style": "solid", "points": [[5.0, 39.0], [30.0, 20.0]]},
            {"role": "right2", "colour": "white", "style": "solid", "points": [[60.0, 39.0], [33.0, 20.0]]},
        ],
        "boxes": [[0, 10, 20, 30, "car"], [40, 10, 64, 40, "Car"]],
        "box_flags": [["truncated", "oncoming"], []],
        "ignore": [[1, 2, 3, 4]],
    }
]
CALIBRATION = {
    "image_size": [64, 40],
    "fx": 50.0,
    "fy": 51.0,
    "cx": 30.0,
    "cy": 20.0,
    "dist_k1_k2_p1_p2_k3": [-0.1, 0.01, 0.0, 0.0, 0.0],
}
BOXES = [{"image": "a.png", "width": 64, "height": 40, "boxes": [[0, 0, 64, 40, "vehicle"]]}]
VOC = """<annotation><folder>x</folder><filename>a.png</filename><size><width>64</width><height>40</height>
<depth>3</depth></size><object><name>Car</name><truncated>1</truncated><difficult>0</difficult><bndbox><xmin>1</xmin>
<ymin>1</ymin><xmax>64</xmax><ymax>20</ymax></bndbox></object><object><name>dog</name><difficult>1</difficult>
<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>7</xmax><ymax>8</ymax></bndbox></object></annotation>"""
COCO = {
    "categories": [{"id": 3, "name": "car"}, {"id": 18, "name": "dog"}],
    "images": [
        {"id": 7, "file_name": "a.png", "width": 64, "height": 40},
        {"id": 9, "file_name": "b.png", "width": 64, "height": 40},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [0, 0, 10.5, 20], "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 18, "bbox": [1, 2, 3, 4], "iscrowd": 1},
        {"id": 3, "image_id": 7, "category_id": 18, "bbox": [30, 2, 0, 4], "iscrowd": 0},
    ],
}
TUSIMPLE = [
    {
        "lanes": [[-2, 30, 20, 10], [-2, -2, -2, 20], [33, 40, -2, 60], [-2, 60, 63, 66], [-2, 22, 2, -18]],
        "h_samples": [10, 20, 30, 39],
        "raw_file": "clips/1/20.png",
    }
]


def write(folder, form, body):
    """A set of one form below a folder, and the file that holds its labels."""
    folder.mkdir(exist_ok=True)
    text = body if isinstance(body, str) else json.dumps(body)
    if form == "rendered":
        (folder / "set.json").write_text("{}")
        picture(folder / "00000/000000.png")
        file, text = folder / "00000/labels.json", json.dumps({"format": 1, "pictures": [body]})
    elif form in ("drawn", "boxes"):
        picture(folder / "images/a.png")
        file = folder / ("labels.json" if form == "drawn" else "boxes.json")
    elif form == "voc":
        picture(folder / "JPEGImages/a.png")
        file = folder / "Annotations/a.xml"
    elif form == "coco":
        for name in ("a", "b"):
            picture(folder / f"images/val/{name}.png")
        file = folder / "annotations/instances_val.json"
    else:
        picture(folder / "clips/1/20.png")
        file, text = folder / "label_data.json", "".join(json.dumps(line) + "\n" for line in body)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


BODIES = {"rendered": RENDERED, "drawn": DRAWN, "boxes": BOXES, "voc": VOC, "coco": COCO, "tusimple": TUSIMPLE}


def read(tmp_path, form, body=None, told=False):
    write(tmp_path / form, form, BODIES[form] if body is None else body)
    return list(read_labelled(tmp_path / form, form if told else None))


@pytest.mark.parametrize("told", [False, True])
def test_rendered(tmp_path, told):
    (one,) = read(tmp_path, "rendered", told=told)
    assert one.file.is_file() and (one.width, one.height) == (64, 40) and not one.only_named
    (thing,), (line,) = one.things, one.lines
    assert thing.box == (10.0, 12.0, 30.5, 20.0) and (thing.kind, thing.depth, thing.visible) == ("car", 12.5, 0.75)
    assert line.role == "ego_left"
    assert line.points.tolist() == [[10.0, 39.0, 4.0], [30.0, 20.0, 40.0]] and line.visible.tolist() == [True, False]
    mount = one.camera.mount
    assert (mount.x, mount.y, mount.z) == pytest.approx((0.5, -0.2, 1.5))
    assert (mount.pitch, mount.roll, mount.yaw) == pytest.approx((0.01, 0.02, -0.03))


@pytest.fixture(scope="module")
def a_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("read")
    entry = Entry("one", "one.xml", "one", "test", "drawn", "CC0", 50, {}, {}, {}, (EgoEntry(100, 1, 0, 49, None),))
    write_dataset(folder / "drawn", [(entry, scenes.scenario(scenes.straight_road()))], 0.2)
    plan = Plan(pictures=3, width=32, height=24, oversampling=1, users=4, laying=Laying(0.0, 0.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "TOGETHER", 2)
        render_set(folder / "drawn", folder / "set", plan, lambda now, note: None)
    return folder / "set"


def test_lines_of_a_rendered_set_lie_on_the_ground_as_its_camera_stands(a_set):
    """The mount, with what was added to it, takes pixels and depths of lines to heights of nought."""
    pictures = list(read_labelled(a_set))
    assert len(pictures) == 3 and any(one.lines for one in pictures)
    for one in pictures:
        eye = mounted(one.camera.mount)
        for line in one.lines:
            near = line.points[line.points[:, 2] < 15.0]
            places = np.asarray(from_camera(eye, back_project(one.camera, near[:, :2], near[:, 2])))
            assert np.abs(places[:, 2]).max(initial=0.0) < 0.02
            assert (np.diff(line.points[:, 2]) > 0.0).all()


def test_drawn(tmp_path):
    (one,) = read(tmp_path, "drawn")
    assert [thing.box for thing in one.things] == [(-0.5, 9.5, 19.5, 29.5), (39.5, 9.5, 63.5, 39.5)]
    assert [(thing.kind, thing.truncated) for thing in one.things] == [("car", True), ("car", False)]
    assert [line.role for line in one.lines] == ["ego_left", "right2"] and one.only_named and one.camera is None
    np.testing.assert_array_equal(one.lines[0].points, [[5.0, 39.0, np.nan], [30.0, 20.0, np.nan]])
    assert one.ignored.tolist() == [[0.5, 1.5, 2.5, 3.5]]
    (tmp_path / "drawn/calibration.json").write_text(json.dumps(CALIBRATION))
    (one,) = read_labelled(tmp_path / "drawn")
    assert (one.camera.fx, one.camera.fy, one.camera.k1, one.camera.k2) == (50.0, 51.0, -0.1, 0.01)


def test_boxes(tmp_path):
    (one,) = read(tmp_path, "boxes")
    assert one.lines is None and [(t.box, t.kind) for t in one.things] == [((-0.5, -0.5, 63.5, 39.5), "vehicle")]


def test_voc(tmp_path):
    (one,) = read(tmp_path, "voc")
    assert [(t.box, t.kind, t.truncated) for t in one.things] == [((-0.5, -0.5, 63.5, 19.5), "car", True)]
    assert one.ignored.tolist() == [[3.5, 4.5, 6.5, 7.5]] and one.lines is None
    beside = tmp_path / "beside"
    picture(beside / "a.png")
    (beside / "a.xml").write_text(VOC)
    assert next(read_labelled(beside)).file == beside / "a.png"


def test_coco(tmp_path):
    one, other = read(tmp_path, "coco")
    assert [(t.box, t.kind) for t in one.things] == [((-0.5, -0.5, 10.0, 19.5), "car")]
    assert one.ignored.tolist() == [[0.5, 1.5, 3.5, 5.5]] and other.things == ()
    (tmp_path / "coco/annotations/captions_val.json").write_text("{}")
    assert len(list(read_labelled(tmp_path / "coco"))) == 2
    assert len(list(read_labelled(tmp_path / "coco/annotations/instances_val.json"))) == 2


def test_tusimple(tmp_path):
    (one,) = read(tmp_path, "tusimple")
    assert one.things is None and one.only_named and (one.width, one.height) == (64, 40)
    assert [line.role for line in one.lines] == ["ego_left", "ego_right", "right2", "left2"]
    np.testing.assert_array_equal(one.lines[1].points, [[60, 39, np.nan], [40, 20, np.nan], [33, 10, np.nan]])
    assert len(list(read_labelled(tmp_path / "tusimple/label_data.json"))) == 1


def changed(form, *changes):
    body = copy.deepcopy(BODIES[form])
    for path, value in changes:
        item = body
        for key in path[:-1]:
            item = item[key]
        if value is None:
            del item[path[-1]]
        else:
            item[path[-1]] = value
    return body


NAN = float("nan")
WRONG = [
    ("rendered", ("boxes", 0, "box"), [30.0, 12.0, 10.0, 20.0], "box: .*inverted or empty"),
    ("rendered", ("boxes", 0, "box"), [30.0, 12.0, 70.0, 20.0], "not within 64 x 40 pixels"),
    ("rendered", ("boxes", 0, "depth"), NAN, "depth: no number"),
    ("rendered", ("boxes", 0, "kind"), 7, "kind: '7' is no name"),
    ("rendered", ("lanes", 0, "visible"), [True], "2 points, 1 of true and false"),
    ("rendered", ("lanes", 0, "points", 0), [1.0, 2.0], "no list of 3 numbers"),
    ("rendered", ("lanes", 0, "role"), "middle", "role: no role"),
    ("rendered", ("fx",), 0.0, "fx: no number"),
    ("rendered", ("tilt",), [0.0], "tilt: 1 numbers instead of 3"),
    ("rendered", ("mount",), None, "mount: no JSON object"),
    ("rendered", ("file",), "../../x.png", "no path below"),
    ("rendered", ("file",), "x" * 300, "no picture 'xxx"),
    ("rendered", ("file",), "000001.png", "no picture '000001.png'"),
    ("drawn", (0, "image"), "z.png", "no picture 'z.png'"),
    ("drawn", (0, "width"), "64", "width: no integer"),
    ("drawn", (0, "lanes", 0, "points"), [[1.0, 2.0]], "1 of them"),
    ("drawn", (0, "lanes", 0, "points", 1), [1.0, NAN], "not JSON.*NaN"),
    ("drawn", (0, "lanes", 0, "points", 1), [1.0, 1e6], "points far outside"),
    ("drawn", (0, "boxes", 0), [0, 10, 20, "car"], "boxes 0: no list of"),
    ("drawn", (0, "boxes", 0), [0, 10, "20", 30, "car"], "'20' is no finite number"),
    ("drawn", (0, "box_flags"), [[]], "1 of 2 boxes"),
    ("drawn", (0, "ignore", 0), [1, 2, 1, 4], "ignore 0: .*empty"),
    ("boxes", (0, "boxes", 0, 2), 99, "not within 64 x 40"),
    ("boxes", (0, "boxes"), None, "boxes: missing or no list"),
    ("coco", ("images",), None, "images: no list"),
    ("coco", ("images", 1, "id"), 7, "another picture's too"),
    ("coco", ("annotations", 0, "image_id"), 8, "no picture has the id 8"),
    ("coco", ("annotations", 0, "category_id"), 4, "no category has the id 4"),
    ("coco", ("annotations", 0, "bbox"), [0, 0, -3, 5], "inverted or empty"),
    ("coco", ("annotations", 0, "bbox"), [0, 0, 80, 5], "not within"),
    ("coco", ("annotations", 0, "bbox"), None, "bbox: 'None' is no list of 4"),
    ("coco", ("images", 1, "file_name"), "c.png", "no picture 'c.png'"),
    ("tusimple", (0, "lanes", 0), [1, 2, 3], "lanes 0: 3 columns, 4 rows"),
    ("tusimple", (0, "lanes"), None, "lanes: missing"),
    ("tusimple", (0, "h_samples"), [10, 20, 20, 30], "do not rise"),
    ("tusimple", (0, "raw_file"), "clips/2/20.png", "no picture"),
    ("tusimple", (0, "lanes", 0, 1), "x", "no finite number"),
]


@pytest.mark.parametrize(("form", "path", "value", "words"), WRONG)
def test_what_is_wrong_is_one_clear_line(tmp_path, form, path, value, words):
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, form, changed(form, (path, value)), told=True)
    assert str(caught.value).startswith(str(tmp_path)) and "\n" not in str(caught.value)
    assert str(caught.value).endswith(")")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<xmax>64<", "<xmax>99<", "not within 64 x 40"),
        ("<xmax>64<", "<xmax>0<", "inverted"),
        ("<xmax>64<", "<xmax>nan<", "not a finite number"),
        ("<xmax>64</xmax>", "", "xmax: nothing is not a number"),
        ("<width>64</width>", "", "size: width: nothing is not an integer"),
        ("a.png", "z.png", "no picture 'z.png'"),
        ("<name>dog</name>", "", "name: 'None' is no name"),
        ("annotation", "notes", "not annotation"),
        ("<annotation>", "<!DOCTYPE x [<!ENTITY a 'b'>]><annotation>", "document type"),
        ("</annotation>", "", "not well-formed"),
    ],
)
def test_wrong_xml(tmp_path, old, new, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path, "voc", VOC.replace(old, new), told=True)


def test_paths_that_are_no_labels(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "list.json").write_text("[]")
    for path, form, words in (
        (tmp_path / "nowhere", None, "no such file or folder"),
        (tmp_path, None, "no labels of one form"),
        (tmp_path / "list.json", None, "of no form that is known"),
        (tmp_path, "kitti", "no form of labels"),
        (tmp_path / "list.json", "voc", "no folder, as labels"),
        (tmp_path, "coco", "no file of the form coco"),
        (tmp_path, "drawn", "labels.json: cannot be read"),
        (tmp_path, "rendered", "no set of pictures"),
    ):
        with pytest.raises(InputError, match=words):
            list(read_labelled(path, form))


@pytest.mark.parametrize("form", list(BODIES))
def test_changed_files_are_read_or_refused_in_one_line(tmp_path, form):
    file, source, refused = write(tmp_path / form, form, BODIES[form]), random.Random(form), 0
    for _ in range(300):
        if form == "voc":
            file.write_text(elements_changed(VOC, source))
        else:
            text = json.dumps(values_changed({"pictures": BODIES[form]}, source)["pictures"])
            if form == "rendered":
                text = f'{{"pictures": [{text}]}}'
            elif form == "tusimple":
                text = text.removeprefix("[").removesuffix("]")
            file.write_text(text)
        try:
            for one in read_labelled(tmp_path / form, form):
                for thing in one.things or ():
                    assert -0.5 <= thing.box[0] < thing.box[2] <= one.width - 0.5
                    assert -0.5 <= thing.box[1] < thing.box[3] <= one.height - 0.5
                assert all(len(line.points) == len(line.visible) >= 2 for line in one.lines or ())
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).startswith(str(tmp_path)), str(error)
    assert 30 < refused < 300


def test_the_pictures_that_are_shipped_hold_what_their_readme_says():
    frames, towns = (list(read_labelled(SHIPPED / name)) for name in ("udacity", "carla"))
    assert (len(frames), len(towns)) == (13, 100)
    assert sum(len(one.lines) for one in frames) == 48 and sum(len(one.ignored) for one in frames) == 55
    assert sum(len(one.things) for one in frames) == 45
    kinds = Counter(thing.kind for one in towns for thing in one.things)
    assert kinds == {"vehicle": 149, "traffic_light": 78, "traffic_sign": 16, "bike": 15, "motobike": 7}
    assert {line.role for one in frames for line in one.lines} >= {"ego_left", "ego_right"}
    for one in frames + towns[::10]:
        assert read_pixels(one.file, (one.width, one.height)).shape == (one.height, one.width, 3)
    assert [one.camera is not None for one in frames] == [one.width == 1280 for one in frames]
    places = [path for path in SHIPPED.rglob("*") if path.suffix == ".jpg"]
    assert sorted(places) == sorted(one.file for one in frames + towns)
