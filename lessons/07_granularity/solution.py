"""Lesson 07, Leaves, twigs, branches: the reference solution. Generated from lesson.py by `make lessons`."""

import numpy as np


def nm_mask(scores, keep, of):
    """Return a mask that keeps, of every `of` neighbours in a row, the `keep` with the highest scores. A row is all
    that one output reads: `scores.reshape(len(scores), -1)`. Each row is divided from its beginning into groups of
    `of`; the last group may be shorter, and then keeps `min(keep, its length)`. Of equal scores either may stay.

    Args:
        scores: float array (O, C) of a Linear or (O, C, R, S) of a Conv2d weight; higher means keep, also below zero.
        keep: how many of a group stay, an int from 1 to `of`.
        of: how many neighbours form a group.

    Returns:
        bool array of the shape of scores, True where a weight stays.
    """
    rows = scores.reshape(len(scores), -1)
    mask = np.zeros(rows.shape, bool)
    for start in range(0, rows.shape[1], of):
        order = np.argsort(-rows[:, start : start + of], axis=1, kind="stable")  # best first
        np.put_along_axis(mask[:, start : start + of], order[:, :keep], True, axis=1)
    return mask.reshape(scores.shape)


def kernel_mask(weight, keep):
    """Return a mask that keeps the `keep` kernels of largest L2 norm, chosen among all O·C kernels, and cuts all
    others as a whole. Exactly `keep` kernels stay, also where norms are equal.

    Args:
        weight: float array (O, C, R, S).
        keep: how many kernels stay, an int from 0 to O·C.

    Returns:
        bool array (O, C, R, S), True where a weight stays.
    """
    norms = np.sqrt((weight**2).sum(axis=(2, 3)))  # (O, C)
    stays = np.zeros(norms.size, bool)
    stays[np.argsort(-norms, axis=None, kind="stable")[:keep]] = True
    return np.broadcast_to(stays.reshape(*norms.shape, 1, 1), weight.shape).copy()


def channel_mask(weight, sparsity):
    """Return which output channels stay if the share `sparsity` of them goes: `round(sparsity * O)` are removed, those
    with the smallest L2 norm of all their weights, but at least one channel always stays.

    Args:
        weight: float array (O, C) or (O, C, R, S).
        sparsity: the share of channels to remove, from 0 to 1.

    Returns:
        bool array (O,), True where a channel stays.
    """
    norms = np.sqrt((weight.reshape(len(weight), -1) ** 2).sum(axis=1))  # (O,)
    gone = min(round(sparsity * len(norms)), len(norms) - 1)
    stays = np.ones(len(norms), bool)
    stays[np.argsort(norms, kind="stable")[:gone]] = False
    return stays


def remove_channels(arrays, keep, makes, follows, reads):
    """Return a new dictionary with all names of `arrays` in which the channels where `keep` is False are taken out: of
    the `makes` layers' weight and bias (if there is one) along axis 0; of the `follows` layers' weight, bias,
    running_mean and running_var; of the `reads` layers' weight along axis 1. A layer may be in `makes` *and* in
    `reads`. Everything else stays as it is, and so does the dictionary that comes in.

    Args:
        arrays: {"layer.part": array}, such as "conv1.weight", "conv1.bias", "bn1.running_mean".
        keep: bool array, True for each channel that stays.
        makes: list of names of Conv2d or Linear layers that make these channels, such as ["conv1"].
        follows: list of names of BatchNorm layers on the way.
        reads: list of names of Conv2d or Linear layers that read these channels.

    Returns:
        a dictionary {"layer.part": array}.
    """
    small = dict(arrays)
    for name in makes:
        for part in ("weight", "bias"):
            if f"{name}.{part}" in small:
                small[f"{name}.{part}"] = small[f"{name}.{part}"][keep]
    for name in follows:
        for part in ("weight", "bias", "running_mean", "running_var"):
            small[f"{name}.{part}"] = small[f"{name}.{part}"][keep]
    for name in reads:
        small[f"{name}.weight"] = small[f"{name}.weight"][:, keep]
    return small


def flatten_columns(keep, height, width):
    """Return which columns of a Linear layer stay that reads C flattened channels of height x width, if the channels
    where `keep` is True stay: a mask of all C·height·width columns.

    Args:
        keep: bool array (C,), True for each channel that stays.
        height: of each channel at the place of the flatten.
        width: of each channel there.

    Returns:
        bool array (C * height * width,), True where a column stays.
    """
    return np.repeat(keep, height * width)


def tie_groups(names, sums):
    """Return the layers that must lose the same channels, as a list of groups: two layers whose outputs are added are
    in one group, and so is whatever they are linked with through other sums. A layer in no sum is a group of its own.
    Names stand in the order of `names`; groups in the order of their first name.

    Args:
        names: list of the names of the layers, all different.
        sums: list of pairs of names, the layers whose outputs are added; a pair may occur twice.

    Returns:
        list of lists of names; every name is in exactly one.
    """
    group = {name: [name] for name in names}
    for a, b in sums:
        if group[a] is not group[b]:
            merged = group[a] + group[b]
            for name in merged:
                group[name] = merged
    result = []
    for name in names:
        members = sorted(group[name], key=names.index)
        if members not in result:
            result.append(members)
    return result
