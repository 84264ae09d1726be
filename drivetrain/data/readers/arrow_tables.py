"""Columns of Parquet and Feather files, as NumPy arrays of known types; needs pyarrow (the extra `argoverse`)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.recordings.unpacking import check_file
from drivetrain.types import InputError

MAX_BYTES = 256 << 20  # of the file, and of what its own footer says it unpacks to
MAX_ROWS = 4_000_000


def read_table(
    file: str, columns: Mapping[str, str], optional: Mapping[str, str] | None = None
) -> dict[str, np.ndarray]:
    """Columns by name: `text` as str, `integer` as int64, `number` as finite float64, `measure` as float64 that is NaN
    in rows without a value; all of one length.

    A file ending in `.parquet` is Parquet, any other is Feather (Arrow IPC).

    Raises:
        InputError: pyarrow is missing, the file is damaged or too large, or a column is missing, has gaps, or is of
            another type.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise InputError(f"{file}: pyarrow is needed to read it (pip install 'drivetrain[argoverse]')") from None
    optional = optional or {}
    try:
        if check_file(file).st_size > MAX_BYTES:
            refuse(file, f"larger than {MAX_BYTES >> 20} MiB", "split the recording")
        table = _open(file, [*columns, *optional])
        arrays = {}
        for name, kind in {**columns, **optional}.items():
            if name in table.column_names:
                arrays[name] = _column(f"{file}: {name}", table[name], kind)
            elif name in columns:
                refuse(f"{file}: {name}", "no such column", "name a file of Argoverse 2")
    except InputError:
        raise
    except OSError as error:
        refuse(file, f"cannot be read: {quote(error.strerror or str(error))}", "restore the file")
    except (pa.ArrowException, MemoryError, ValueError, OverflowError, UnicodeDecodeError) as error:
        refuse(file, f"damaged table: {quote(' '.join(str(error).split()))}", "restore the file")
    return arrays


def _open(file: str, wanted: list[str]) -> Any:
    """The wanted columns of a table that is small enough."""
    import pyarrow as pa
    import pyarrow.parquet

    if not file.endswith(".parquet"):
        with pa.memory_map(file) as stream:
            reader = pa.ipc.open_file(stream)
            names = [name for name in wanted if name in reader.schema.names]
            options = pa.ipc.IpcReadOptions(included_fields=[reader.schema.get_field_index(name) for name in names])
            reader = pa.ipc.open_file(stream, options=options)
            rows, batches = 0, []
            for index in range(reader.num_record_batches):
                batches.append(reader.get_batch(index))
                batches[-1].validate(full=True)
                rows += batches[-1].num_rows
                _check_rows(file, rows)
            return pa.Table.from_batches(batches, reader.schema).select(names)
    with pyarrow.parquet.ParquetFile(file) as parquet:
        _check_rows(file, parquet.metadata.num_rows)
        size = sum(parquet.metadata.row_group(group).total_byte_size for group in range(parquet.num_row_groups))
        if size > MAX_BYTES:
            refuse(file, f"unpacks to more than {MAX_BYTES >> 20} MiB", "split the recording")
        names = [name for name in wanted if name in parquet.schema_arrow.names]
        return parquet.read(columns=names, use_threads=False)


def _check_rows(file: str, rows: int) -> None:
    if not 0 <= rows <= MAX_ROWS:
        refuse(file, f"{rows} rows", f"give at most {MAX_ROWS}")


def _column(where: str, column: Any, kind: str) -> np.ndarray:
    import pyarrow as pa

    if column.null_count and kind != "measure":
        refuse(where, f"{column.null_count} rows without a value", "fill or drop the rows")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    is_number = pa.types.is_integer(column.type) or (
        kind in ("number", "measure") and pa.types.is_floating(column.type)
    )
    if not (is_text if kind == "text" else is_number):
        refuse(where, f"of type {quote(str(column.type))}", f"give {kind.replace('measure', 'number')}s")
    if kind == "text":
        return np.array(column.to_pylist(), object)
    array = column.to_numpy().astype(np.int64 if kind == "integer" else np.float64)
    if kind != "measure" and not np.isfinite(array).all():
        refuse(where, "a value that is not finite", "drop the row")
    return array
