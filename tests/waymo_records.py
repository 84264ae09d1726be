"""A hand-made crossing as Waymo Open Motion records: protobuf and TFRecord bytes written field by field.

Nothing here uses a protobuf or checksum library: the encoders are their own, from the formats' descriptions.
"""

import math
import struct

X, Y = 5000.0, -3000.0  # where the scene lies in its source's frame
STEPS, NOW = 50, 10
STOP, GO, CAUTION = 4, 6, 5  # light states
GREEN_FROM, UNSEEN_FROM = 20, 45


class F32(float):
    """A number to be written in four bytes."""


def varint(number):
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, F32):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc_table()


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(data):
    length = struct.pack("<Q", len(data))
    return length + masked_crc(length) + data + masked_crc(data)


def write(path, *records):
    path.write_bytes(b"".join(map(frame, records)))
    return str(path)


# ------------------------------------------------------------------------------------------------------------ the scene


def line(first, last, z=0.0, step=2.0):
    count = max(round(math.dist(first, last) / step), 1)
    share = [i / count for i in range(count + 1)]
    return [(X + first[0] + s * (last[0] - first[0]), Y + first[1] + s * (last[1] - first[1]), z) for s in share]


def outline(*corners):
    return [(X + x, Y + y, 0.0) for x, y in corners]


def arc(x, y, radius):
    """A left turn from heading east at (x, y)."""
    angles = [i / 10 * math.pi / 2 for i in range(11)]
    return [(X + x + radius * math.sin(a), Y + y + radius * (1 - math.cos(a)), 0.0) for a in angles]


FREEWAY, STREET, BICYCLE = 1, 2, 3
DASHED, DOUBLE, EDGE, MEDIAN, SIGN, CROSSWALK, BUMP, DRIVEWAY = 6, 12, 15, 16, 17, 18, 19, 20

ROAD = [  # id, the dataset's number of its type, points
    (1, STREET, line((0, 1.75), (80, 1.75))),
    (2, STREET, line((40, -1.75), (80, -1.75))),
    (3, STREET, line((80, 1.75), (140, 1.75))),
    (4, STREET, line((80, -1.75), (140, -1.75))),
    (5, STREET, arc(80, 1.75, 12.0)),
    (6, BICYCLE, line((0, -12.0), (140, -12.0))),
    (8, STREET, line((140, -1.75), (170, -1.75))),
    (9, FREEWAY, line((0, 5.25), (80, 5.25), z=6.0)),  # on a bridge, right above the road's left edge
    (20, EDGE, line((0, -3.9), (140, -3.9))),
    (21, MEDIAN, line((70, 4.25), (0, 4.25))),
    (22, EDGE, line((0, 3.55), (80, 3.55), z=6.0)),  # the bridge's
    (30, DASHED, line((0, 0.0), (80, 0.0))),
    (31, DOUBLE, line((0, 4.0), (70, 4.0))),
    (40, CROSSWALK, outline((84, -5), (87, -5), (87, 8), (84, 8))),
    (41, BUMP, outline((20, -4), (22, -4), (22, 4), (20, 4))),
    (42, DRIVEWAY, outline((20, -4), (22, -4), (22, -9), (20, -9))),
    (50, SIGN, outline((79.0, -6.0))),
]
EXITS = {1: (3, 5), 2: (4,), 4: (7,), 7: (8,), 3: (999,)}  # 7 has one point, 999 is not in the scene
NEIGHBOURS = {1: ((), ((2, 20, 40),)), 2: (((1, 0, 20),), ())}  # left, right: lane, from point, to point
BORDERS = {1: (((31, 0, 40),), ((30, 0, 40),)), 2: ((), ((20, 0, 20),))}
OBJECTS = [  # id, type, start, velocity, heading, first and last valid step
    (7, 1, (0.0, 1.75), (10.0, 0.0), 0.0, 0, STEPS),
    (8, 1, (45.0, -1.75), (6.0, 0.0), 0.0, 5, 48),
    (9, 2, (82.0, 9.0), (0.0, -1.0), -math.pi / 2, 0, STEPS),
    (10, 3, (10.0, -12.0), (3.0, 0.0), 0.0, 0, STEPS),
    (11, 4, (60.0, 20.0), (0.0, 0.0), 1.0, 0, STEPS),
]
LIGHT_AT = (X + 80.0, Y + 1.75)


def light_at(step):
    """The state of lane 5's light, or nothing where it was not seen."""
    return None if step >= UNSEEN_FROM else STOP if step < GREEN_FROM else GO


# ----------------------------------------------------------------------------------------------------- Scenario message


def point(p):
    return message((1, float(p[0])), (2, float(p[1])), (3, float(p[2])))


def lane_feature(id, type, points):
    parts = [(1, 25.0), (2, type), (3, 0)] + [(8, point(p)) for p in points]
    into = [other for other, exits in EXITS.items() if id in exits]
    parts += [(9, b"".join(map(varint, into)))] if into else []
    parts += [(10, b"".join(map(varint, EXITS[id])))] if id in EXITS else []
    for number, side in zip((11, 12), NEIGHBOURS.get(id, ((), ())), strict=True):
        parts += [(number, message((1, other), (2, first), (3, last))) for other, first, last in side]
    for number, side in zip((13, 14), BORDERS.get(id, ((), ())), strict=True):
        parts += [(number, message((1, first), (2, last), (3, other))) for other, first, last in side]
    return message((1, id), (3, message(*parts)))


def feature(id, type, points):
    if type <= BICYCLE:
        return lane_feature(id, type, points)
    if type == SIGN:
        return message((1, id), (7, message((1, 2), (2, point(points[0])))))  # it stops lane 2
    if type in (EDGE, MEDIAN):
        return message((1, id), (5, message((1, type - 14), *((2, point(p)) for p in points))))
    if type in (CROSSWALK, BUMP, DRIVEWAY):
        return message((1, id), (type - 10, message(*((1, point(p)) for p in points))))
    return message((1, id), (4, message((1, type - 5), *((2, point(p)) for p in points))))


def state(start, velocity, heading, step, valid):
    if not valid:
        return message((2, 0.0), (11, 0))
    x, y = X + start[0] + 0.1 * step * velocity[0], Y + start[1] + 0.1 * step * velocity[1]
    numbers = ((5, 4.5), (6, 1.8), (7, 1.5), (8, heading), (9, velocity[0]), (10, velocity[1]))
    return message((2, x), (3, y), (4, 0.5), *((number, F32(value)) for number, value in numbers), (11, 1))


def track(id, type, start, velocity, heading, first, last, steps=STEPS):
    states = [state(start, velocity, heading, step, first <= step < last) for step in range(steps)]
    return message((1, id), (2, type), *((3, s) for s in states))


def scenario_fields():
    """Field number and value of every field of the scene's Scenario message."""
    road = [*ROAD, (7, STREET, line((140, -1.75), (140, -1.75))[:1])]
    lights = []
    for step in range(STEPS):
        lane = message((1, 5), (2, light_at(step) or 0), (3, point((*LIGHT_AT, 0.0))))
        lights.append(message((1, lane)) if light_at(step) else b"")
    return [
        *((1, 0.1 * step) for step in range(STEPS)),
        *((2, track(*thing)) for thing in OBJECTS),
        (5, b"abc123"),
        (6, 0),
        *((7, one) for one in lights),
        *((8, feature(*item)) for item in road),
        (10, NOW),
        (12, b"\x0a\x03new"),  # a field that the reader passes over
    ]


def scenario(changes=lambda fields: fields):
    return message(*changes(scenario_fields()))


# ----------------------------------------------------------------------------------------------------------- tf.Example


def columns():
    """Name and values of every column of the scene's tf.Example; 8 objects, three of them padding."""
    out = {"scenario/id": [b"abc123"]}
    things = [*OBJECTS, *[None] * 3]
    out["state/id"] = [float(thing[0]) if thing else -1.0 for thing in things]
    out["state/type"] = [float(thing[1]) if thing else -1.0 for thing in things]
    out["state/is_sdc"] = [int(bool(thing) and thing[0] == 7) if thing else -1 for thing in things]
    parts = {"past": range(NOW), "current": range(NOW, NOW + 1), "future": range(NOW + 1, STEPS)}
    for part, steps in parts.items():
        rows = [_row(thing, step) for thing in things for step in steps]
        names = ("valid", "timestamp_micros", "x", "y", "length", "width", "bbox_yaw", "velocity_x", "velocity_y")
        names += ("z", "height")
        for name, values in zip(names, zip(*rows, strict=True), strict=True):
            out[f"state/{part}/{name}"] = list(values)
        seen = [light_at(step) for step in steps]
        lights = {
            "id": (5, -1),
            "state": (None, -1),
            "valid": (1, 0),
            "x": (LIGHT_AT[0], -1.0),
            "y": (LIGHT_AT[1], -1.0),
        }
        for name, (there, none) in lights.items():  # two slots a step, the second one empty
            slots = [[(light if name == "state" else there) if light else none, none] for light in seen]
            out[f"traffic_light_state/{part}/{name}"] = [value for pair in slots for value in pair]
    samples = [(id, type, p) for id, type, points in ROAD for p in points] + [(-1, -1, (-1.0, -1.0, -1.0))] * 5
    out["roadgraph_samples/id"] = [id for id, _, _ in samples]
    out["roadgraph_samples/type"] = [type for _, type, _ in samples]
    out["roadgraph_samples/valid"] = [int(id >= 0) for id, _, _ in samples]
    out["roadgraph_samples/xyz"] = [value for _, _, p in samples for value in p]
    return out


def _row(thing, step):
    if thing is None or not thing[5] <= step < thing[6]:
        return (0, -1, *[-1.0] * 9)
    (x, y), (vx, vy) = thing[2:4]
    return (1, 100_000 * step, X + x + 0.1 * step * vx, Y + y + 0.1 * step * vy, 4.5, 1.8, thing[4], vx, vy, 0.5, 1.5)


def column(values):
    if values and isinstance(values[0], bytes):
        return message((1, message(*((1, value) for value in values))))
    if values and isinstance(values[0], float):
        return message((2, message((1, struct.pack(f"<{len(values)}f", *values)))))
    return message((3, message((1, b"".join(map(varint, values))))))


def example(changed=None):
    """The scene's tf.Example, some columns replaced, or dropped where the new value is nothing."""
    named = {name: values for name, values in (columns() | (changed or {})).items() if values is not None}
    entries = [message((1, name.encode()), (2, column(values))) for name, values in named.items()]
    return message((1, message(*((1, entry) for entry in entries))))
