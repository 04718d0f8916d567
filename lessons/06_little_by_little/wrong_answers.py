"""Mistakes that people make in lesson 06; each must be caught, and told what it is."""

import numpy as np

from minprune.course import wrong


@wrong("geometric_sparsities", "equal shares of the whole (linear)")
def cuts_equal_shares_of_the_whole(final, rounds):
    return [final * i / rounds for i in range(1, rounds + 1)]


@wrong("geometric_sparsities", "Those are the shares that remain")
def lists_what_remains(final, rounds):
    return [(1 - final) ** (i / rounds) for i in range(1, rounds + 1)]


@wrong("geometric_sparsities", "It begins with 0")
def begins_with_nothing(final, rounds):
    return [1 - (1 - final) ** (i / rounds) for i in range(rounds)]


@wrong("geometric_sparsities", "it never arrives")
def divides_the_share_by_the_rounds(final, rounds):
    return [1 - (1 - final / rounds) ** i for i in range(1, rounds + 1)]


@wrong("geometric_sparsities", "the beginning, 0, is not one of them")
def counts_the_beginning_as_a_round(final, rounds):
    return [1 - (1 - final) ** (i / rounds) for i in range(rounds + 1)]


def _progress(step, start, end):
    return min(max((step - start) / (end - start), 0), 1)


@wrong("cubic_sparsity", "slow at first and fast at the end")
def cubes_the_progress(step, start, end, initial, final):
    return initial + (final - initial) * _progress(step, start, end) ** 3


@wrong("cubic_sparsity", "That is a straight line")
def forgets_the_cube(step, start, end, initial, final):
    return initial + (final - initial) * _progress(step, start, end)


@wrong("cubic_sparsity", "hold the progress between 0 and 1")
def goes_on_beyond_the_end(step, start, end, initial, final):
    return final + (initial - final) * (1 - (step - start) / (end - start)) ** 3


@wrong("cubic_sparsity", "`initial` is missing")
def ignores_where_it_begins(step, start, end, initial, final):
    if step < start:
        return initial
    return final * (1 - (1 - _progress(step, start, end)) ** 3)


@wrong("cubic_sparsity", "not the number of steps")
def takes_the_end_for_a_duration(step, start, end, initial, final):
    progress = min(max((step - start) / end, 0), 1)
    return final + (initial - final) * (1 - progress) ** 3


def _without_lowest(scores, mask, count):
    result = mask.copy()
    result.flat[np.argsort(scores, axis=None, kind="stable")[:count]] = False
    return result


@wrong("cut_remainder", "came back to life")
def ranks_all_anew(scores, mask, sparsity):
    return _without_lowest(scores, np.ones_like(mask), round(sparsity * mask.size))


@wrong("cut_remainder", "is a share of the whole, not of what remains")
def takes_the_share_of_the_remainder(scores, mask, sparsity):
    return _without_lowest(np.where(mask, scores, np.inf), mask, round(sparsity * int(mask.sum())))


@wrong("cut_remainder", "those that are gone already count, too")
def cuts_as_many_again(scores, mask, sparsity):
    return _without_lowest(np.where(mask, scores, np.inf), mask, round(sparsity * mask.size))


@wrong("cut_remainder", "is not the lowest")
def scores_the_cut_ones_zero(scores, mask, sparsity):
    return _without_lowest(np.where(mask, scores, 0), mask, round(sparsity * mask.size))


@wrong("cut_remainder", "A threshold takes all ties")
def compares_with_a_threshold(scores, mask, sparsity):
    more = round(sparsity * mask.size) - int((~mask).sum())
    return mask & (scores > np.sort(scores[mask])[more - 1]) if more > 0 else mask.copy()


@wrong("cut_remainder", "a negative number to cut is no cut")
def slices_with_a_negative_count(scores, mask, sparsity):
    more = round(sparsity * mask.size) - int((~mask).sum())
    return _without_lowest(np.where(mask, scores, np.inf), mask, more)


@wrong("next_move", "The floor comes first")
def asks_for_the_goals_first(row, limits):
    if (
        row["sparsity"] >= limits.get("target_sparsity", np.inf)
        or row["bytes"] <= limits.get("max_bytes", 0)
        or row["ms"] <= limits.get("max_ms", 0)
    ):
        return "stop"
    return "roll back" if row["accuracy"] < limits.get("min_accuracy", 0) else "go on"


@wrong("next_move", "One goal reached is enough")
def waits_for_all_goals(row, limits):
    if row["accuracy"] < limits.get("min_accuracy", 0):
        return "roll back"
    reached = (
        row["sparsity"] >= limits.get("target_sparsity", 0),
        row["bytes"] <= limits.get("max_bytes", np.inf),
        row["ms"] <= limits.get("max_ms", np.inf),
    )
    return "stop" if len(limits) > 1 and all(reached) else "go on"


@wrong("next_move", "Exactly at the floor is not below it")
def rolls_back_at_the_floor(row, limits):
    if row["accuracy"] <= limits.get("min_accuracy", 0):
        return "roll back"
    goals = (
        row["sparsity"] >= limits.get("target_sparsity", np.inf),
        row["bytes"] <= limits.get("max_bytes", 0),
        row["ms"] <= limits.get("max_ms", 0),
    )
    return "stop" if any(goals) else "go on"


@wrong("next_move", "KeyError")
def needs_every_rule(row, limits):
    if row["accuracy"] < limits["min_accuracy"]:
        return "roll back"
    goals = (row["sparsity"] >= limits["target_sparsity"], row["bytes"] <= limits["max_bytes"], row["ms"] <= limits["max_ms"])
    return "stop" if any(goals) else "go on"


@wrong("next_move", "bytes and ms are reached when they are at most the limit")
def takes_large_for_small(row, limits):
    if row["accuracy"] < limits.get("min_accuracy", 0):
        return "roll back"
    names = {"sparsity": "target_sparsity", "bytes": "max_bytes", "ms": "max_ms"}
    return "stop" if any(row[name] >= limits.get(limit, np.inf) for name, limit in names.items()) else "go on"


@wrong("prune_until", "changes it in place")
def cuts_the_model_it_was_given(model, sparsities, cut, fine_tune, measure, decide):
    good, history = model.copy(), []
    for sparsity in sparsities:
        cut(model, sparsity)
        fine_tune(model)
        history.append(measure(model))
        move = decide(history[-1])
        if move == "roll back":
            break
        good = model.copy()
        if move == "stop":
            break
    return good, history


@wrong("prune_until", "Two names for one model")
def gives_one_model_two_names(model, sparsities, cut, fine_tune, measure, decide):
    work, history = model.copy(), []
    good = work
    for sparsity in sparsities:
        cut(work, sparsity)
        fine_tune(work)
        history.append(measure(work))
        move = decide(history[-1])
        if move == "roll back":
            break
        good = work
        if move == "stop":
            break
    return good, history


@wrong("prune_until", "is the one to hand out")
def keeps_no_copy_when_it_stops(model, sparsities, cut, fine_tune, measure, decide):
    work, good, history = model.copy(), model.copy(), []
    for sparsity in sparsities:
        cut(work, sparsity)
        fine_tune(work)
        history.append(measure(work))
        if decide(history[-1]) != "go on":
            break
        good = work.copy()
    return good, history


@wrong("prune_until", "starts from the dense model every time")
def starts_again_every_round(model, sparsities, cut, fine_tune, measure, decide):
    good, history = model.copy(), []
    for sparsity in sparsities:
        work = model.copy()
        cut(work, sparsity)
        fine_tune(work)
        history.append(measure(work))
        move = decide(history[-1])
        if move == "roll back":
            break
        good = work
        if move == "stop":
            break
    return good, history


@wrong("prune_until", "Measure after the fine-tuning")
def measures_before_it_recovers(model, sparsities, cut, fine_tune, measure, decide):
    work, good, history = model.copy(), model.copy(), []
    for sparsity in sparsities:
        cut(work, sparsity)
        history.append(measure(work))
        fine_tune(work)
        move = decide(history[-1])
        if move == "roll back":
            break
        good = work.copy()
        if move == "stop":
            break
    return good, history


@wrong("prune_until", "The bad round belongs into the history")
def hides_the_bad_round(model, sparsities, cut, fine_tune, measure, decide):
    work, good, history = model.copy(), model.copy(), []
    for sparsity in sparsities:
        cut(work, sparsity)
        fine_tune(work)
        row = measure(work)
        move = decide(row)
        if move == "roll back":
            break
        history.append(row)
        good = work.copy()
        if move == "stop":
            break
    return good, history
