"""The JSON header of demonstrations on disk: what the arrays are and what they are of."""

import dataclasses
import json
import zlib
from typing import TYPE_CHECKING, Any

from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from gym_ilrl.data import space_json

if TYPE_CHECKING:
    from gym_ilrl.data.demonstrations import Demonstrations

FORMAT, VERSION = "gym_ilrl.demonstrations", 1
_PLAIN = ("actions", "rewards", "terminations", "truncations", "offsets")


def named_arrays(demos: "Demonstrations") -> dict[str, NDArray[Any]]:
    """Return every array of ``demos`` under the name it has on disk: ``observations/key`` for Dict spaces."""
    arrays = {name: getattr(demos, name) for name in _PLAIN if getattr(demos, name) is not None}
    if isinstance(demos.observations, dict):
        arrays.update({f"observations/{key}": array for key, array in demos.observations.items()})
    else:
        arrays["observations"] = demos.observations
    arrays.update({f"infos/{key}": array for key, array in (demos.infos or {}).items()})
    return arrays


def text(demos: "Demonstrations", checksums: dict[str, int]) -> str:
    """Return the header as JSON.

    :param checksums: CRC-32 of the arrays' files, where the container of the files has none of its own
    """
    arrays: dict[str, dict[str, Any]] = {
        name: {"dtype": array.dtype.str, "shape": list(array.shape)} for name, array in named_arrays(demos).items()
    }
    for name, checksum in checksums.items():
        arrays[name]["crc32"] = checksum
    description = {
        "format": FORMAT,
        "version": VERSION,
        "observation_space": space_json.to_json(demos.observation_space),
        "action_space": space_json.to_json(demos.action_space),
        "spec": None if demos.spec is None else json.loads(demos.spec.to_json()),
        "metadata": demos.metadata,
        "arrays": arrays,
    }
    return checksummed(description)


def checksummed(description: dict[str, Any]) -> str:
    """Return ``description`` as JSON, with a checksum of itself."""
    checksum = zlib.crc32(json.dumps(description).encode())
    return json.dumps({**description, "crc32": checksum}, indent=1, allow_nan=False)


def parse(content: bytes) -> dict[str, Any]:
    """Return the header, having checked that it is one that this version understands."""
    description = json.loads(content)
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f"its header is not of format {FORMAT}")
    if description.get("version") != VERSION:
        raise ValueError(
            f"its format version is {description.get('version')} and this gym_ilrl reads {VERSION}; upgrade gym_ilrl"
        )
    checksum = description.pop("crc32", None)
    if checksum != zlib.crc32(json.dumps(description).encode()):
        raise ValueError("its header was changed after it was written")
    return description


def fields(description: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Return the fields of the demonstrations, having compared every array with what the header says of it."""
    for name, entry in description["arrays"].items():
        array = arrays[name]
        if array.dtype.str != entry["dtype"] or list(array.shape) != entry["shape"]:
            raise ValueError(
                f"{name} is {array.dtype} {array.shape}, its header says {entry['dtype']} {entry['shape']}"
            )
    infos = _group("infos/", arrays)
    return {
        **{name: arrays.get(name) for name in _PLAIN},
        "observations": arrays["observations"] if "observations" in arrays else _group("observations/", arrays),
        "infos": infos or None,
        "observation_space": space_json.from_json(description["observation_space"]),
        "action_space": space_json.from_json(description["action_space"]),
        "spec": _spec(description["spec"]),
        "metadata": description["metadata"],
    }


def _group(prefix: str, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def _spec(description: dict[str, Any] | None) -> EnvSpec | None:
    """Rebuild the spec without the fields that only another version of Gymnasium knows."""
    if description is None:
        return None
    known = {field.name for field in dataclasses.fields(EnvSpec) if field.init}
    return EnvSpec.from_json(json.dumps({key: value for key, value in description.items() if key in known}))
