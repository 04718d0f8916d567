"""Lesson 02, Dense and Conv: your answers go into this file.

Replace each `raise NotImplementedError` and save. Then run the exercise's check in the notebook, or in a terminal:

    minprune check 02           # all exercises of this lesson
    minprune check 02 --hint    # the next hint
    minprune check 02 --reset   # start again; your file is kept beside
"""

import numpy as np


def im2col(x, kernel):
    """Return the patches of the images `x` as columns. Each column is one patch, its pixels in the
    order C, R, S; the columns go through the places row by row. The patch moves by one pixel
    (stride 1), and stays inside the image (no padding), so there are Y = H - R + 1 times X = W - S
    + 1 places.

    Args:
        x: images, array (N, C, H, W).
        kernel: (R, S), the height and width of a patch.

    Returns:
        array (N, C·R·S, Y·X), of the dtype of x.
    """
    raise NotImplementedError("write im2col here")


def conv2d_forward(columns, weight, bias):
    """Return the output of a convolution for images that are already laid out as columns: for each
    image, each filter and each place, the sum of the filter's weights times the patch, plus the
    filter's bias.

    Args:
        columns: patches as `im2col` gives them, array (N, C·R·S, P).
        weight: the filters, array (O, C, R, S).
        bias: one number per filter, array (O,).

    Returns:
        array (N, O, P).
    """
    raise NotImplementedError("write conv2d_forward here")


def conv2d_backward(grad, columns, weight):
    """Return (dweight, dbias, dcolumns), the gradients of a convolution with respect to its
    filters, its bias and its columns, given `grad`, the gradient with respect to its output.

    Args:
        grad: array (N, O, P).
        columns: the patches that went in, array (N, C·R·S, P).
        weight: the filters, array (O, C, R, S).

    Returns:
        dweight (O, C, R, S), dbias (O,), dcolumns (N, C·R·S, P).
    """
    raise NotImplementedError("write conv2d_backward here")


def col2im(columns, shape, kernel):
    """Return images of `shape` to which every column was added back, at the place where `im2col`
    took its patch from. What several patches bring to the same pixel is added up.

    Args:
        columns: array (N, C·R·S, Y·X), with rows and places in the order of `im2col`.
        shape: (N, C, H, W) of the images.
        kernel: (R, S).

    Returns:
        array of `shape`, of the dtype of columns.
    """
    raise NotImplementedError("write col2im here")


def cross_entropy(logits, labels):
    """Return the mean over the batch of log(sum(exp(z))) - z[label], where z are the logits of an
    image, for logits of any size: -1000 and 1000 must not overflow, nor may a very unlikely label
    become infinitely costly.

    Args:
        logits: array (N, K).
        labels: whole numbers from 0 to K - 1, array (N,).

    Returns:
        the loss, a number.
    """
    raise NotImplementedError("write cross_entropy here")


def cross_entropy_gradient(logits, labels):
    """Return the gradient of the mean cross-entropy with respect to the logits: for each image its
    softmax, minus 1 at its label, divided by the number of images. It must not overflow for logits
    such as 1000.

    Args:
        logits: array (N, K); it must not be changed.
        labels: whole numbers from 0 to K - 1, array (N,).

    Returns:
        array (N, K).
    """
    raise NotImplementedError("write cross_entropy_gradient here")
