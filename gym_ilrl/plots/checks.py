"""What is refused as something to draw."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.arguments import require


def numbers(given: ArrayLike, name: str, *shapes: tuple[int, ...]) -> NDArray[np.float64]:
    """Return an array of finite numbers that has one of the shapes.

    :param given: what was given as ``name``
    :param shapes: the shapes that are accepted; -1 stands for any length
    :raises ValueError: if the shape is another one, or a number is infinite or none
    """
    array = np.asarray(given, dtype=np.float64)
    expected = " or ".join(str(shape).replace("-1", "any") for shape in shapes)
    fits = any(
        len(shape) == array.ndim and all(n in (-1, length) for n, length in zip(shape, array.shape, strict=True))
        for shape in shapes
    )
    require(fits and array.size > 0, f"the shape of {name}", array.shape, expected)
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        place = tuple(wrong[0].tolist())
        raise ValueError(f"{name} must be finite numbers, and at {place} is {array[place]}")
    return array
