"""Demonstrations as users give them to an algorithm: an object or the path of a file."""

from pathlib import Path

from gym_ilrl.data.demonstrations import Demonstrations


def demonstrations_of(given: Demonstrations | str | Path | None) -> Demonstrations | None:
    """Return the demonstrations that were given, read from their file if a path was.

    :raises TypeError: if something else was given
    """
    if given is None or isinstance(given, Demonstrations):
        return given
    if isinstance(given, str | Path):
        return Demonstrations.load(given)
    raise TypeError(
        f"demonstrations must be gym_ilrl.Demonstrations or the path of a saved one, not {type(given).__name__}; "
        "Demonstrations.from_episodes and Demonstrations.from_arrays make them from your own data"
    )


def required_demonstrations(given: Demonstrations | str | Path, name: str) -> Demonstrations:
    """Return the demonstrations that were given to something which is nothing without them.

    :param given: an object, or the path of a file
    :param name: of what needs them
    :raises TypeError: if something else was given, or None
    """
    found = demonstrations_of(given)
    if found is None:
        raise TypeError(f"{name} needs demonstrations: give gym_ilrl.Demonstrations, or the path of a file")
    return found
