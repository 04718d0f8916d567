"""Mistakes that people make in lesson 07; each must be caught, and told what it is."""

import numpy as np

from minprune.course import wrong


def _groups(rows, keep, of, fill=-np.inf):
    """Masks of rows (O, K), the rows filled up to a multiple of `of`."""
    padded = np.full((len(rows), -(-rows.shape[1] // of) * of), fill)
    padded[:, : rows.shape[1]] = rows
    order = np.argsort(-padded.reshape(len(rows), -1, of), axis=-1, kind="stable")
    mask = np.zeros(order.shape, bool)
    np.put_along_axis(mask, order[..., :keep], True, axis=-1)
    return mask.reshape(padded.shape)[:, : rows.shape[1]]


def _rows(scores):
    return scores.reshape(len(scores), -1)


@wrong("nm_mask", "The lowest scores were kept")
def keeps_the_lowest_scores(scores, keep, of):
    return _groups(-_rows(scores), keep, of).reshape(scores.shape)


@wrong("nm_mask", "`keep` of each group were cut")
def cuts_keep_of_each_group(scores, keep, of):
    return _groups(_rows(scores), of - keep, of).reshape(scores.shape)


@wrong("nm_mask", "The best of a whole row")
def chooses_in_the_whole_row(scores, keep, of):
    rows = _rows(scores)
    return _groups(rows, round(rows.shape[1] * keep / of), rows.shape[1]).reshape(scores.shape)


@wrong("nm_mask", "groups along C for each place")
def groups_along_input_channels(scores, keep, of):
    if scores.ndim == 2:
        return _groups(scores, keep, of)
    moved = np.moveaxis(scores, 1, -1)  # (O, R, S, C)
    mask = _groups(moved.reshape(-1, scores.shape[1]), keep, of).reshape(moved.shape)
    return np.moveaxis(mask, -1, 1)


@wrong("nm_mask", "from one row into the next")
def groups_run_across_rows(scores, keep, of):
    return _groups(scores.reshape(1, -1), keep, of).reshape(scores.shape)


@wrong("nm_mask", "which beat scores below zero")
def fills_up_with_zeros(scores, keep, of):
    return _groups(_rows(scores), keep, of, fill=0.0).reshape(scores.shape)


@wrong("nm_mask", "A threshold (>= or >)")
def threshold_in_each_group(scores, keep, of):
    rows = _rows(scores)
    mask = np.zeros(rows.shape, bool)
    for start in range(0, rows.shape[1], of):
        group = rows[:, start : start + of]
        least = np.sort(group, axis=1)[:, -min(keep, group.shape[1])]
        mask[:, start : start + of] = group >= least[:, None]
    return mask.reshape(scores.shape)


def _kernels(values, keep, shape):
    """The mask of the `keep` kernels with the highest of `values` (O, C)."""
    mask = np.zeros(values.size, bool)
    mask[np.argsort(-values, axis=None, kind="stable")[:keep]] = True
    return np.broadcast_to(mask.reshape(*values.shape, 1, 1), shape).copy()


def _norms(weight):
    return np.sqrt((weight**2).sum(axis=(2, 3)))


@wrong("kernel_mask", "6 and -6 cancel")
def sums_signed_weights_of_kernels(weight, keep):
    return _kernels(weight.sum(axis=(2, 3)), keep, weight.shape)


@wrong("kernel_mask", "choice by L1 norm")
def ranks_kernels_by_l1(weight, keep):
    return _kernels(np.abs(weight).sum(axis=(2, 3)), keep, weight.shape)


@wrong("kernel_mask", "stay or go as a whole")
def keeps_single_weights(weight, keep):
    mask = np.zeros(weight.size, bool)
    mask[np.argsort(-np.abs(weight), axis=None)[: keep * weight.shape[2] * weight.shape[3]]] = True
    return mask.reshape(weight.shape)


@wrong("kernel_mask", "one value per kernel")
def does_not_spread_over_the_kernel(weight, keep):
    return _kernels(_norms(weight), keep, (*weight.shape[:2], 1, 1))[:, :, 0, 0]


@wrong("kernel_mask", "in each filter stay")
def keeps_as_many_in_each_filter(weight, keep):
    order = np.argsort(-_norms(weight), axis=1, kind="stable")
    mask = np.zeros(weight.shape[:2], bool)
    np.put_along_axis(mask, order[:, :keep], True, axis=1)
    return np.broadcast_to(mask[:, :, None, None], weight.shape).copy()


@wrong("kernel_mask", "A threshold keeps or cuts all")
def threshold_on_kernel_norms(weight, keep):
    norms = _norms(weight)
    least = np.sort(norms, axis=None)[::-1][keep - 1] if keep else np.inf
    return np.broadcast_to((norms >= least)[:, :, None, None], weight.shape).copy()


def _channels(values, sparsity, least=1):
    mask = np.ones(values.size, bool)
    mask[np.argsort(values, kind="stable")[: min(round(sparsity * values.size), values.size - least)]] = False
    return mask


@wrong("channel_mask", "At least one channel must stay")
def leaves_no_channel(weight, sparsity):
    return _channels(np.linalg.norm(_rows(weight), axis=1), sparsity, least=0)


@wrong("channel_mask", "Outputs are the first axis")
def takes_norms_of_inputs(weight, sparsity):
    moved = np.moveaxis(weight, 1, 0)
    return _channels(np.linalg.norm(moved.reshape(len(moved), -1), axis=1), sparsity)


@wrong("channel_mask", "Sums of signed weights")
def sums_signed_weights_of_filters(weight, sparsity):
    return _channels(_rows(weight).sum(axis=1), sparsity)


@wrong("channel_mask", "choice by L1 norm")
def ranks_channels_by_l1(weight, sparsity):
    return _channels(np.abs(_rows(weight)).sum(axis=1), sparsity)


@wrong("channel_mask", "(or a quantile)")
def quantile_of_channel_norms(weight, sparsity):
    norms = np.linalg.norm(_rows(weight), axis=1)
    mask = norms > np.quantile(norms, sparsity)
    mask[np.argmax(norms)] = True
    return mask


@wrong("channel_mask", "int() cuts off the fraction")
def cuts_off_the_fraction_of_a_channel(weight, sparsity):
    norms = np.linalg.norm(_rows(weight), axis=1)
    mask = np.ones(len(norms), bool)
    mask[np.argsort(norms, kind="stable")[: min(int(sparsity * len(norms)), len(norms) - 1)]] = False
    return mask


PARTS = ("weight", "bias", "running_mean", "running_var")


def _remove(arrays, keep, makes, follows, reads, parts=PARTS, source=None):
    small = dict(arrays)
    for name in makes:
        small[f"{name}.weight"] = arrays[f"{name}.weight"][keep]
        if f"{name}.bias" in arrays:
            small[f"{name}.bias"] = arrays[f"{name}.bias"][keep]
    for name in follows:
        for part in parts:
            small[f"{name}.{part}"] = arrays[f"{name}.{part}"][keep]
    for name in reads:
        small[f"{name}.weight"] = (source or small)[f"{name}.weight"][:, keep]
    return small


@wrong("remove_channels", "The reader still reads all channels")
def forgets_the_next_layers_input(arrays, keep, makes, follows, reads):
    return _remove(arrays, keep, makes, follows, [])


@wrong("remove_channels", "The reader lost outputs")
def cuts_the_readers_outputs(arrays, keep, makes, follows, reads):
    small = _remove(arrays, keep, makes, follows, [])
    return small | {f"{name}.weight": arrays[f"{name}.weight"][keep] for name in reads}


@wrong("remove_channels", "running statistics were left")
def forgets_the_running_statistics(arrays, keep, makes, follows, reads):
    return _remove(arrays, keep, makes, follows, reads, parts=("weight", "bias"))


@wrong("remove_channels", "The maker's bias was left")
def forgets_the_makers_bias(arrays, keep, makes, follows, reads):
    small = _remove(arrays, keep, makes, follows, reads)
    return small | {f"{name}.bias": arrays[f"{name}.bias"] for name in makes if f"{name}.bias" in arrays}


@wrong("remove_channels", "makes *and* reads them")
def begins_again_for_the_readers(arrays, keep, makes, follows, reads):
    return _remove(arrays, keep, makes, follows, reads, source=arrays)


@wrong("remove_channels", "channels were set to zero")
def sets_to_zero_instead_of_removing(arrays, keep, makes, follows, reads):
    small = dict(arrays)
    for name in makes:
        weight = arrays[f"{name}.weight"]
        small[f"{name}.weight"] = weight * keep.reshape(-1, *[1] * (weight.ndim - 1))
    return small


@wrong("remove_channels", "begin with a copy of the dictionary")
def returns_only_what_shrank(arrays, keep, makes, follows, reads):
    small = _remove(arrays, keep, makes, follows, reads)
    return {name: array for name, array in small.items() if array.shape != arrays[name].shape}


@wrong("remove_channels", "belongs to the reader's own outputs")
def shrinks_the_readers_bias(arrays, keep, makes, follows, reads):
    small = _remove(arrays, keep, makes, follows, reads)
    return small | {f"{name}.bias": arrays[f"{name}.bias"][keep] for name in reads if f"{name}.bias" in arrays}


@wrong("flatten_columns", "as np.tile does")
def repeats_the_whole_pattern(keep, height, width):
    return np.tile(keep, height * width)


@wrong("flatten_columns", "It keeps the first columns")
def keeps_the_first_columns(keep, height, width):
    return np.arange(len(keep) * height * width) < keep.sum() * height * width


@wrong("flatten_columns", "positions of the columns")
def gives_positions_instead_of_a_mask(keep, height, width):
    return np.flatnonzero(np.repeat(keep, height * width))


@wrong("flatten_columns", "height *and* width count")
def forgets_the_height(keep, height, width):
    return np.repeat(keep, width)


@wrong("flatten_columns", "not one")
def forgets_that_channels_are_images(keep, height, width):
    return keep.copy()


def _in_order(groups, names):
    unique = {id(g): g for g in groups}.values()
    return sorted((sorted(g, key=names.index) for g in unique), key=lambda g: names.index(g[0]))


@wrong("tie_groups", "groups of their own; they are missing")
def leaves_out_single_layers(names, sums):
    groups = {name: [name] for name in names}
    for a, b in sums:
        if groups[a] is not groups[b]:
            merged = groups[a] + groups[b]
            groups |= dict.fromkeys(merged, merged)
    return [g for g in _in_order(groups.values(), names) if len(g) > 1]


@wrong("tie_groups", "Every sum became a group of its own")
def makes_a_group_of_every_sum(names, sums):
    tied = {name for pair in sums for name in pair}
    return _in_order([*(list(pair) for pair in sums), *([name] for name in names if name not in tied)], names)


@wrong("tie_groups", "all their members must come along")
def moves_only_the_two_layers(names, sums):
    label = {name: i for i, name in enumerate(names)}
    for a, b in sums:
        label[b] = label[a]
    return _in_order([[n for n in names if label[n] == value] for value in dict.fromkeys(label.values())], names)


@wrong("tie_groups", "was not followed")
def ignores_sums_between_groups(names, sums):
    groups = {name: [name] for name in names}
    for a, b in sums:
        if len(groups[a]) == 1 or len(groups[b]) == 1:
            merged = list(dict.fromkeys(groups[a] + groups[b]))
            groups |= dict.fromkeys(merged, merged)
    return _in_order(groups.values(), names)


@wrong("tie_groups", "their order is not")
def gives_groups_in_the_order_of_the_sums(names, sums):
    groups = {name: [name] for name in names}
    for a, b in sums:
        if groups[a] is not groups[b]:
            merged = groups[a] + groups[b]
            groups |= dict.fromkeys(merged, merged)
    return list({id(g): g for g in groups.values()}.values())
