"""Demonstrations on disk: one ``.npz`` file, or a directory of ``.npy`` files that can be memory-mapped.

Both hold the same arrays under the same names, and a JSON header that lists them with dtype, shape and (directory)
CRC-32, and describes spaces, spec and metadata. There is no pickle: reading executes nothing. ``numpy.load`` reads
each array, should this package ever be missing.
"""

import contextlib
import errno
import io
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.data import header

if TYPE_CHECKING:
    from gym_ilrl.data.demonstrations import Demonstrations

_HEADER = "header.json"


def write(path: Path, demos: "Demonstrations") -> None:
    """Write ``demos`` to ``path`` and replace what was there, at once."""
    if path.suffix not in ("", ".npz"):
        raise ValueError(
            f"{path} ends in {path.suffix}; demonstrations are saved as .npz, or as a directory without suffix"
        )
    if path.suffix and path.is_dir():
        raise ValueError(f"{path} is a directory, where an .npz file is to be written; choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    path = Path(os.path.realpath(path))  # a link stays a link, and what it points to is replaced
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        if path.suffix:
            _write_npz(temporary, demos)
            temporary.replace(path)
        else:
            if _is_something_else(path):
                raise ValueError(f"{path} exists and is no directory of demonstrations; choose another name")
            _write_directory(temporary, demos)
            _replace_directory(temporary, path)
    finally:
        temporary.unlink(missing_ok=True) if path.suffix else shutil.rmtree(temporary, ignore_errors=True)


def _is_something_else(path: Path) -> bool:
    """Tell whether what is at ``path`` are no demonstrations, unless another writer replaces it while we look."""
    seen = _identity(path)
    return seen is not None and not (path / _HEADER).exists() and _identity(path) == seen


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def read(path: Path, mmap: bool) -> dict[str, Any]:
    """Return the fields of the demonstrations at ``path``; call it within :func:`naming`.

    :param mmap: leave the arrays of a directory on disk
    """
    if path.is_dir():
        return _read_directory(path, mmap)
    if mmap:
        raise ValueError("an .npz file cannot be memory-mapped; save to a directory (a path without suffix) for that")
    with zipfile.ZipFile(path) as archive:  # reading a member whole checks its CRC-32
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is compressed, which save never does, and could unpack to more than memory holds")
        description = header.parse(archive.read(_HEADER))
        arrays = {name: _parse_npy(archive.read(_file_name(name))) for name in description["arrays"]}
    return header.fields(description, arrays)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever damaged bytes raise in zipfile, zlib, numpy and json into one sentence that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        if not path.exists():
            raise FileNotFoundError(f"there are no demonstrations at {path}") from error
        raise ValueError(f"{path} is not a complete set of demonstrations: {error.filename} is missing") from error
    except Exception as error:  # a dozen kinds, and not one of them is the caller's
        reason = str(error) or type(error).__name__
        raise ValueError(
            f"{path} cannot be read as demonstrations (damaged, or not written by save): {reason}"
        ) from error


def _write_npz(path: Path, demos: "Demonstrations") -> None:
    arrays = header.named_arrays(demos)
    with path.open("xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            archive.writestr(_HEADER, header.text(demos, {}))
            for name, array in arrays.items():
                with archive.open(_file_name(name), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
        _to_disk(file)


def _write_directory(path: Path, demos: "Demonstrations") -> None:
    path.mkdir()
    checksums = {}
    for name, array in header.named_arrays(demos).items():
        with (path / _file_name(name)).open("xb") as file:
            np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
            _to_disk(file)
        checksums[name] = _crc(path / _file_name(name))
    with (path / _HEADER).open("xb") as file:
        file.write(header.text(demos, checksums).encode())
        _to_disk(file)


def _replace_directory(temporary: Path, path: Path) -> None:
    """Move ``temporary`` to ``path``, the old one away first: a full directory cannot be replaced in one step."""
    while True:
        old = path.with_name(f".{path.name}.{uuid.uuid4().hex}.old")
        with contextlib.suppress(FileNotFoundError):
            path.rename(old)
        try:
            temporary.rename(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # these: another process has just saved there too
                raise
        finally:
            shutil.rmtree(old, ignore_errors=True)


def _read_directory(path: Path, mmap: bool) -> dict[str, Any]:
    description = header.parse((path / _HEADER).read_bytes())
    arrays: dict[str, NDArray[Any]] = {}
    for name, entry in description["arrays"].items():
        file = path / _file_name(name)
        if mmap and name != "offsets":  # small, and everything else is found by them
            arrays[name] = np.load(file, mmap_mode="r", allow_pickle=False)
        else:
            content = file.read_bytes()
            if zlib.crc32(content) != entry["crc32"]:
                raise ValueError(f"the checksum of {file.name} is not the one in {_HEADER}")
            arrays[name] = _parse_npy(content)
    return header.fields(description, arrays)


def _parse_npy(content: bytes) -> NDArray[Any]:
    """Return the array in the bytes of an ``.npy`` file, read-only and without a copy."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("it holds pickled Python objects, which are never loaded")
    flat = np.frombuffer(content, dtype=dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran_order else "C")


def _file_name(name: str) -> str:
    return quote(name, safe="") + ".npy"


def _crc(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 24):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
