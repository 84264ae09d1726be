"""The messages of Waymo Open Motion records, as protobuf descriptors built when they are first needed.

The parser is Google's own, which is in C and checks bounds; descriptors of the fields that are read are a table of
facts, so neither TensorFlow nor generated code is needed. Fields that are not in the table are passed over.

Formats: `scenario.proto` and `map.proto` of https://github.com/waymo-research/waymo-open-dataset, and `example.proto`
and `feature.proto` of TensorFlow. Enumerations are read as integers: a new value does no harm.
"""

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from drivetrain.data.readers.hardened_xml import refuse

FIELDS = {
    "Point": "1 x double, 2 y double, 3 z double",
    "Border": "1 first int32, 2 last int32, 3 feature int64",
    "Neighbour": "1 lane int64, 2 first int32, 3 last int32",
    "Lane": "1 speed_limit_mph double, 2 type int32, 3 interpolating bool, 8 points *Point, 9 entries *int64, "
    "10 exits *int64, 11 left *Neighbour, 12 right *Neighbour, 13 left_borders *Border, 14 right_borders *Border",
    "Drawn": "1 type int32, 2 points *Point",
    "Sign": "1 lanes *int64, 2 position Point",
    "Area": "1 points *Point",
    "Feature": "1 id int64, 3 lane Lane, 4 line Drawn, 5 edge Drawn, 7 sign Sign, 8 crosswalk Area, 9 bump Area, "
    "10 driveway Area",
    "LaneState": "1 lane int64, 2 state int32, 3 stop Point",
    "Lights": "1 lanes *LaneState",
    "State": "2 x double, 3 y double, 4 z double, 5 length float, 6 width float, 7 height float, "
    "8 heading float, 9 velocity_x float, 10 velocity_y float, 11 valid bool",
    "Track": "1 id int32, 2 type int32, 3 states *State",
    "Scenario": "1 times *double, 2 tracks *Track, 5 id bytes, 6 ego int32, 7 lights *Lights, 8 features *Feature",
    "Bytes": "1 value *bytes",
    "Floats": "1 value *float",
    "Integers": "1 value *int64",
    "Column": "1 bytes Bytes, 2 floats Floats, 3 integers Integers",
    "Entry": "1 key bytes, 2 value Column",
    "Columns": "1 entries *Entry",
    "Example": "1 columns Columns",
}
"""Number, name and type of the fields that are read; a star marks repeated ones."""

PACKAGE = "drivetrain.waymo"


def parse(where: str, name: str, data: bytes) -> Any:
    """A message of the table from its bytes. Raises `InputError` where they are not one."""
    try:
        return _classes()[name].FromString(data)
    except message.DecodeError:
        refuse(where, f"no {name} message", "give records of the Waymo Open Motion Dataset")


@functools.cache
def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="drivetrain/waymo.proto", package=PACKAGE, syntax="proto2")
    for name, fields in FIELDS.items():
        described = file.message_type.add(name=name)
        for field in fields.split(", "):
            number, label, kind = field.split()
            added = described.field.add(name=label, number=int(number))
            added.label = added.LABEL_REPEATED if kind[0] == "*" else added.LABEL_OPTIONAL
            kind = kind.lstrip("*")
            if kind in FIELDS:
                added.type, added.type_name = added.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                added.type = descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in FIELDS}
