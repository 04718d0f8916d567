"""Training learns, is reproducible, looks at validation images only, and says when it diverges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import minprune as mp
from minprune.errors import NonFiniteError, ShapeError
from minprune.train import FitOptions, Recipe, evaluate, fit, fit_recipe
from tests.data_sets import clusters, small_net

SPLITS = clusters()


def run(seed: int = 0, **options: object) -> tuple[mp.nn.Module, pd.DataFrame]:
    model = small_net()
    optimizer = mp.optim.SGD(model, lr=0.05, momentum=0.9)
    history = fit(model, SPLITS, epochs=3, optimizer=optimizer, rng=np.random.default_rng(seed), options=FitOptions(progress="", **options))
    return model, history


def test_training_learns() -> None:
    model, history = run()
    assert history["train_loss"].iloc[-1] < 0.5 * history["train_loss"].iloc[0]
    assert evaluate(model, SPLITS.test).accuracy > 0.95
    assert list(history.columns) == ["epoch", "step", "lr", "train_loss", "val_loss", "val_accuracy"]
    assert list(history["step"]) == [3, 6, 9]  # 160 images, batches of 64


def test_equal_seeds_give_equal_weights_and_others_do_not() -> None:
    (one, _), (same, _), (other, _) = run(0), run(0), run(1)
    np.testing.assert_array_equal(one[3].weight.data, same[3].weight.data)
    assert not np.array_equal(one[3].weight.data, other[3].weight.data)


def test_evaluation_is_by_hand_and_restores_the_mode() -> None:
    model, _ = run()
    model.train()
    report = evaluate(model, SPLITS.val, batch_size=7)
    logits = model(SPLITS.val.images).data
    assert report.accuracy == (logits.argmax(axis=1) == SPLITS.val.labels).mean()
    assert report.loss == pytest.approx(mp.ops.cross_entropy(logits, SPLITS.val.labels).item(), rel=1e-5)
    assert report.count == 80
    assert model.training


def test_after_step_is_called_after_every_step() -> None:
    steps: list[int] = []
    run(after_step=steps.append)
    assert steps == list(range(1, 10))


def test_the_learning_rate_follows_the_schedule_and_is_restored() -> None:
    model = small_net()
    optimizer = mp.optim.SGD(model, lr=0.1)
    options = FitOptions(schedule=mp.optim.StepLR(3, 0.5), first_epoch=1, progress="")
    history = fit(model, SPLITS, epochs=2, optimizer=optimizer, rng=np.random.default_rng(0), options=options)
    assert list(history["lr"]) == [0.05, 0.025]  # of epochs 2 and 3: the schedule starts at step 3
    assert list(history["epoch"]) == [2, 3]
    assert optimizer.lr == 0.1


def test_a_diverging_loss_is_an_error_that_names_the_learning_rate() -> None:
    model = small_net()
    model[0].weight.data[...] = np.nan
    with pytest.raises(NonFiniteError, match=r"became nan in epoch 1; try a smaller learning rate than 0\.05"):
        fit(model, SPLITS, epochs=1, optimizer=mp.optim.SGD(model, lr=0.05), rng=np.random.default_rng(0), options=FitOptions(progress=""))


def test_an_empty_data_set_is_refused() -> None:
    empty = mp.data.Split(np.zeros((0, 1, 5, 5), np.float32), np.zeros(0, np.int64))
    with pytest.raises(ShapeError, match="empty data set"):
        evaluate(small_net(), empty)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "adma"}, "did you mean 'adam'"),
        ({"lr_schedule": "cosin"}, "did you mean 'cosine'"),
        ({"epochs": -1}, "epochs expected a finite number >= 0, got -1"),
        ({"batch_size": 0}, "batch_size expected a finite number >= 1"),
        ({"lr": float("inf")}, "lr expected a finite number"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe(**settings)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw"])
@pytest.mark.parametrize("lr_schedule", ["constant", "cosine", "step"])
def test_recipes_train(optimizer: str, lr_schedule: str) -> None:
    lr = 0.05 if "adam" not in optimizer else 0.01
    recipe = Recipe(epochs=4, lr=lr, optimizer=optimizer, lr_schedule=lr_schedule, warmup_epochs=1)
    history = fit_recipe(small_net(), SPLITS, recipe, rng=np.random.default_rng(0), progress="")
    assert history["val_accuracy"].iloc[-1] > 0.8
    assert history["lr"].iloc[0] == pytest.approx(lr)  # the end of the warm-up
    assert (history["lr"].iloc[-1] == pytest.approx(lr)) == (lr_schedule == "constant")
