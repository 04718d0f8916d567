"""Pooling in lockstep. Images come flat, (C, H, W, width); a window is R x S and moves by (sy, sx).

``maximum`` remembers which element of each window won, in one byte, so that the gradient finds its way back without comparing again.
"""

from __future__ import annotations

import numpy as np

from minprune.kernels.compile import PAIR, B, F, N, apart, inline
from minprune.kernels.crew import kernel, share
from minprune.kernels.elementwise import clear
from minprune.kernels.maxima import max_and_winner


@kernel
def maximum(turn, x, out, winner, C, image, places, window, stride, width):
    """The largest element of each window, NaN if there is one; ``winner`` is its number in reading order, the first of equals."""
    for c in share(turn, C):
        channel_maximum(c, x, out, winner, image, places, window, stride, width)


@apart((N, F, F, B, PAIR, PAIR, PAIR, PAIR, N))
def channel_maximum(c, x, out, winner, image, places, window, stride, width):
    """The same for one channel."""
    for y in range(places[0]):
        for p in range(places[1]):
            corner = ((c * image[0] + y * stride[0]) * image[1] + p * stride[1]) * width
            o = ((c * places[0] + y) * places[1] + p) * width
            max_and_winner(window[0], window[1], x, corner, image[1] * width, width, width, out, winner, o)


@kernel
def maximum_grad(turn, grad, winner, dx, C, image, places, window, stride, width):
    """Each window's gradient goes to its winner."""
    for c in share(turn, C):
        channel_maximum_grad(c, grad, winner, dx, image, places, window, stride, width)


@apart((N, F, B, F, PAIR, PAIR, PAIR, PAIR, N))
def channel_maximum_grad(c, grad, winner, dx, image, places, window, stride, width):
    """The same for one channel."""
    overlap = stride[0] < window[0] or stride[1] < window[1]
    if overlap or places[0] * stride[0] < image[0] or places[1] * stride[1] < image[1] or stride[0] > window[0] or stride[1] > window[1]:
        clear(dx, c * image[0] * image[1] * width, image[0] * image[1] * width)
    for y in range(places[0]):
        for p in range(places[1]):
            o = ((c * places[0] + y) * places[1] + p) * width
            corner = ((c * image[0] + y * stride[0]) * image[1] + p * stride[1]) * width
            flowing, who = grad[o : o + width], winner[o : o + width]
            for number in range(window[0] * window[1]):
                at = corner + (number // window[1] * image[1] + number % window[1]) * width
                target = dx[at : at + width]
                if overlap:
                    for i in range(width):
                        target[i] += flowing[i] if who[i] == number else 0
                else:
                    for i in range(width):
                        target[i] = flowing[i] if who[i] == number else np.float32(0)


@kernel
def mean(turn, x, out, C, image, places, window, stride, width):
    """The mean of each window."""
    for c in share(turn, C):
        channel_mean(c, x, out, image, places, window, stride, width)


@inline
def channel_mean(c, x, out, image, places, window, stride, width):
    """The same for one channel."""
    share = out.dtype.type(1 / (window[0] * window[1]))
    for y in range(places[0]):
        for p in range(places[1]):
            o = ((c * places[0] + y) * places[1] + p) * width
            clear(out, o, width)
            total = out[o : o + width]
            for number in range(window[0] * window[1]):
                r, s = number // window[1], number % window[1]
                at = ((c * image[0] + y * stride[0] + r) * image[1] + p * stride[1] + s) * width
                here = x[at : at + width]
                for i in range(width):
                    total[i] += here[i]
            for i in range(width):
                total[i] *= share


@kernel
def mean_grad(turn, grad, dx, C, image, places, window, stride, width):
    """Each element of a window gets an equal share of its gradient."""
    for c in share(turn, C):
        channel_mean_grad(c, grad, dx, image, places, window, stride, width)


@inline
def channel_mean_grad(c, grad, dx, image, places, window, stride, width):
    """The same for one channel."""
    share = dx.dtype.type(1 / (window[0] * window[1]))
    clear(dx, c * image[0] * image[1] * width, image[0] * image[1] * width)
    for y in range(places[0]):
        for p in range(places[1]):
            o = ((c * places[0] + y) * places[1] + p) * width
            flowing = grad[o : o + width]
            for number in range(window[0] * window[1]):
                r, s = number // window[1], number % window[1]
                at = ((c * image[0] + y * stride[0] + r) * image[1] + p * stride[1] + s) * width
                target = dx[at : at + width]
                for i in range(width):
                    target[i] += flowing[i] * share
