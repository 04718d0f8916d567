"""How a window walks over an image: what convolution, pooling and everything that counts them need to know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Geometry:
    """Sizes in elements, each (vertical, horizontal)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """(Y, X) for an image of (height, width): floor((H + 2·padding − R) / stride) + 1 along each axis."""
        (r, s), (sy, sx), (py, px) = self.kernel, self.stride, self.padding
        return (height + 2 * py - r) // sy + 1, (width + 2 * px - s) // sx + 1

    def taps(self, array: Array, out_size: tuple[int, int]) -> list[list[Array]]:
        """For each kernel element (r, s), the view of a padded (C, H, W, N) array that it meets: (C, Y, X, N)."""
        (r, s), (sy, sx), (y, x) = self.kernel, self.stride, out_size
        return [[array[:, i : i + sy * y : sy, j : j + sx * x : sx] for j in range(s)] for i in range(r)]

    def input_rows(self, rows: slice) -> slice:
        """The rows of the padded image under a block of output rows."""
        return slice(rows.start * self.stride[0], (rows.stop - 1) * self.stride[0] + self.kernel[0])


def as_pair(what: str, value: int | tuple[int, int], at_least: int) -> tuple[int, int]:
    """``value`` as (vertical, horizontal); a ValueError where it is not one or two whole numbers >= ``at_least``."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(isinstance(v, int | np.integer) and v >= at_least for v in pair):
        raise ValueError(f"{what} expected a whole number >= {at_least} or a pair of them, got {value!r}")
    return int(pair[0]), int(pair[1])
