"""Lesson 06, Little by little: the reference solution. Generated from lesson.py by `make lessons`."""

import numpy as np


def geometric_sparsities(final, rounds):
    """Return the sparsities of the whole after each of `rounds` rounds, if every round cuts the same share of what
    remains and the last one arrives at `final`.

    Args:
        final: the sparsity at the end, from 0 to below 1.
        rounds: how many rounds there are, an int of at least 1.

    Returns:
        list of `rounds` floats, ascending.
    """
    return [1 - (1 - final) ** (i / rounds) for i in range(1, rounds + 1)]


def cubic_sparsity(step, start, end, initial, final):
    """Return the sparsity that the cubic schedule of Zhu and Gupta asks for at `step`: `initial` up to the step
    `start`, `final` from the step `end` on, and in between fast at first and gentle at the end.

    Args:
        step: an int of at least 0.
        start: the step t0 at which the schedule begins.
        end: the step t1 > t0 at which it ends.
        initial: the sparsity s_i at the beginning.
        final: the sparsity s_f at the end.

    Returns:
        the sparsity of the whole, a float.
    """
    progress = min(max((step - start) / (end - start), 0), 1)
    return final + (initial - final) * (1 - progress) ** 3


def cut_remainder(scores, mask, sparsity):
    """Return the mask after a further cut: `round(sparsity * mask.size)` entries are False in the end, all of `mask`'s
    among them; the new ones have the lowest scores of those that remain. Of equal scores, the first in order goes. If
    so many are gone already, nothing changes.

    Args:
        scores: array of floats of any shape; higher means keep. What it says of weights already cut does not count.
        mask: array of bools of the same shape, True where a weight still stays.
        sparsity: the share *of the whole* that shall be gone after this cut.

    Returns:
        a new array of bools of the same shape.
    """
    more = max(round(sparsity * mask.size) - int(np.sum(~mask)), 0)
    order = np.argsort(np.where(mask, scores, np.inf), axis=None, kind="stable")
    result = mask.copy()
    result.flat[order[:more]] = False
    return result


def next_move(row, limits):
    """Return what to do after a round: "roll back" if the accuracy is below limits["min_accuracy"]; otherwise "stop" if
    at least one goal is reached, sparsity at least limits["target_sparsity"], bytes at most limits["max_bytes"] or ms
    at most limits["max_ms"]; otherwise "go on". A rule that is not in `limits` does not apply.

    Args:
        row: dict with the keys "accuracy", "sparsity", "bytes" and "ms" (milliseconds for one image).
        limits: dict with some, all or none of the keys "min_accuracy", "target_sparsity", "max_bytes", "max_ms".

    Returns:
        "roll back", "stop" or "go on".
    """
    if row["accuracy"] < limits.get("min_accuracy", -np.inf):
        return "roll back"
    goals = (
        row["sparsity"] >= limits.get("target_sparsity", np.inf),
        row["bytes"] <= limits.get("max_bytes", -np.inf),
        row["ms"] <= limits.get("max_ms", -np.inf),
    )
    return "stop" if any(goals) else "go on"


def prune_until(model, sparsities, cut, fine_tune, measure, decide):
    """Prune a copy of `model` round by round, and return the last good model and the history. In each round: cut,
    fine-tune, measure, decide. "roll back" ends the loop, and the model of the round before is handed out; "stop" ends
    it, and this round's model is handed out; "go on" goes on, as long as there are sparsities.

    Args:
        model: has a method copy(); the model itself stays as it is. It is handed out, as a copy, if no round was good.
        sparsities: the sparsity of the whole after each round, ascending.
        cut: cut(model, sparsity) cuts a model in place.
        fine_tune: fine_tune(model) lets it recover, in place.
        measure: measure(model) gives a dict, the round's row of the history.
        decide: decide(row) gives "go on", "stop" or "roll back".

    Returns:
        (model, history): the model handed out, and the list of all rows, that of a rolled-back round included.
    """
    work, good, history = model.copy(), model.copy(), []
    for sparsity in sparsities:
        cut(work, sparsity)
        fine_tune(work)
        row = measure(work)
        history.append(row)
        move = decide(row)
        if move == "roll back":
            break
        good = work.copy()
        if move == "stop":
            break
    return good, history
