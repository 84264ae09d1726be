"""The bytes of files that nobody vouches for: plain or packed, a bounded number of them, from files alone.

A pipe that nobody writes to would be waited for without end, and a device never ends: neither is opened.
"""

import gzip
import io
import lzma
import os
import stat
import zlib

from drivetrain.data.recordings.json_fields import refuse

MAX_BYTES = 64 << 20  # of the file, and of what it unpacks to
XZ_MEMORY = 128 << 20  # an xz header may ask for a dictionary of 1.5 GiB


def check_file(file: str) -> os.stat_result:
    """The state of a file that may be read. Raises `InputError` on any other, and on folders, pipes and devices."""
    try:
        state = os.stat(file)
        if not stat.S_ISREG(state.st_mode):
            what = "a folder" if stat.S_ISDIR(state.st_mode) else "a pipe, socket or device"
            refuse(file, f"cannot be read: {what}, not a file", "name a file")
        with open(file, "rb"):
            return state
    except OSError as error:
        refuse(file, f"cannot be read: {error.strerror}", "check the path and its permissions")
    except ValueError:
        refuse(ascii(file)[1:-1], "cannot be read: a NUL in its name", "check the path")


def read_bytes(file: str) -> bytes:
    """The bytes of a file, unpacked as its name says (`.xz`, `.gz`), never more than `MAX_BYTES` of them."""
    return _read(file, "xz" if file.endswith(".xz") else "gzip" if file.endswith(".gz") else "")


def read_xz(file: str) -> bytes:
    """The unpacked bytes of an xz archive, whatever its name, never more than `MAX_BYTES` of them."""
    return _read(file, "xz")


def _read(file: str, packing: str) -> bytes:
    size = check_file(file).st_size
    if size > MAX_BYTES:
        refuse(file, f"larger than {MAX_BYTES >> 20} MiB", "split the recording")
    try:
        with open(file, "rb") as stream:
            data = stream.read(size)  # a room of as many bytes as are asked for is made first
        if packing == "xz":
            archive = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
            data = archive.decompress(data, MAX_BYTES + 1)
            if len(data) <= MAX_BYTES and not archive.eof:
                raise EOFError
            if archive.unused_data:
                refuse(file, "bytes after the archive's end", "restore the file")
        elif packing:
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MAX_BYTES + 1)  # of all its members
    except EOFError:
        refuse(file, "truncated archive", "restore the file")
    except (lzma.LZMAError, zlib.error, gzip.BadGzipFile):
        refuse(file, "damaged archive", "restore the file")
    except OSError as error:
        refuse(file, f"cannot be read: {error.strerror}", "check the path and its permissions")
    if len(data) > MAX_BYTES:
        refuse(file, f"unpacks to more than {MAX_BYTES >> 20} MiB", "split the recording")
    return data
