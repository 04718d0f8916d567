"""Optimizers and learning-rate schedules.

In: a model whose parameters hold gradients. Out: the same model, one step further. A step never changes a masked weight: after it,
masked weights are exactly zero, and so is whatever the optimizer remembers of them (momentum, Adam's moments), so that nothing
stored can bring them back later.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minprune import backend
from minprune.nn import Module, Parameter
from minprune.tensor import Array

Schedule = Callable[[int], float]  # step -> factor on the initial learning rate


class Optimizer:
    """What SGD and Adam share: the parameters, the learning rate, the state of each parameter, and the rule on masks.

    ``lr`` may be changed between steps. ``state`` maps a parameter's name to the arrays remembered for it.
    """

    def __init__(self, model: Module, lr: float, weight_decay: float) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"an optimizer expected a Module, got {type(model).__name__}")
        check_at_least("lr", lr, 0)
        check_at_least("weight_decay", weight_decay, 0)
        self.model = model
        self.lr = lr
        self.weight_decay = weight_decay
        self.state: dict[str, dict[str, Array]] = {}
        self.ages: dict[str, int] = {}  # how many updates each parameter has had

    def update(self, p: Parameter, grad: Array, state: dict[str, Array], age: int) -> None:
        """Move ``p.data`` and ``state`` one step, in place, and hold both at zero where the mask prunes.

        ``state`` starts empty and holds arrays of p's shape; ``age`` counts the updates of this parameter from 1.
        """
        raise NotImplementedError

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for name, p in self.model.named_parameters():
            if p.grad is None:
                continue
            state = self.state.setdefault(name, {})
            self.ages[name] = self.ages.get(name, 0) + 1
            self.update(p, p.grad, state, self.ages[name])

    def zero_grad(self) -> None:
        """Forget the gradients of the model's parameters."""
        self.model.zero_grad()


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, Nesterov's variant and L2 weight decay, as ``torch.optim.SGD``.

        g ← ∇L + λ w,   v ← μ v + g,   w ← w − lr · (v, or g + μ v with Nesterov)

    Raises:
        ValueError: a negative lr, momentum or weight_decay, or Nesterov without momentum.
    """

    def __init__(self, model: Module, lr: float, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(model, lr, weight_decay)
        check_at_least("momentum", momentum, 0)
        if nesterov and momentum == 0:
            raise ValueError("nesterov=True expected a momentum above 0, got 0")
        self.momentum, self.nesterov = momentum, nesterov

    def update(self, p: Parameter, grad: Array, state: dict[str, Array], age: int) -> None:
        if self.momentum and not state:
            state["velocity"] = np.zeros_like(p.data)
        work = backend.implementation("steps", p.dtype)
        rates = self.lr, self.momentum, self.weight_decay
        work.sgd(p, grad, state.get("velocity"), rates, nesterov=self.nesterov, first=age == 1)


class Adam(Optimizer):
    """Adam with bias correction; weight decay is added to the gradient, as ``torch.optim.Adam``.

        m ← β₁ m + (1−β₁) g,   v ← β₂ v + (1−β₂) g²,   w ← w − lr · m̂ / (√v̂ + ε)

    Source: Kingma and Ba 2015, algorithm 1.
    """

    decoupled = False

    def __init__(
        self,
        model: Module,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(model, lr, weight_decay)
        if len(betas) != 2 or not all(0 <= b < 1 for b in betas):
            raise ValueError(f"betas expected two numbers in [0, 1), got {betas}")
        check_at_least("eps", eps, 0)
        self.betas, self.eps = betas, eps

    def update(self, p: Parameter, grad: Array, state: dict[str, Array], age: int) -> None:
        if not state:
            state["mean"], state["square"] = np.zeros_like(p.data), np.zeros_like(p.data)
        work = backend.implementation("steps", p.dtype)
        decay = (0.0, self.weight_decay) if self.decoupled else (self.weight_decay, 0.0)
        work.adam(p, grad, (state["mean"], state["square"]), (self.lr, *self.betas, self.eps), decay, age)


class AdamW(Adam):
    """Adam whose weight decay shrinks the weights directly, by lr · λ · w. Source: Loshchilov and Hutter 2019."""

    decoupled = True

    def __init__(
        self,
        model: Module,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(model, lr, betas, eps, weight_decay)


def check_at_least(what: str, value: float, low: float) -> None:
    """A ValueError unless ``value`` is a finite number of at least ``low``."""
    if not isinstance(value, int | float | np.number) or not math.isfinite(value) or value < low:
        raise ValueError(f"{what} expected a finite number >= {low}, got {value!r}")


@dataclass(frozen=True)
class ConstantLR:
    """The initial learning rate, always."""

    def __call__(self, step: int) -> float:  # noqa: ARG002 (a schedule takes a step; this one need not look at it)
        return 1.0


@dataclass(frozen=True)
class StepLR:
    """Multiply by ``gamma`` after every ``step_size`` steps."""

    step_size: int
    gamma: float = 0.1

    def __call__(self, step: int) -> float:
        return self.gamma ** (step // self.step_size)


@dataclass(frozen=True)
class CosineLR:
    """Half a cosine from 1 down to ``floor`` over ``total_steps``. Source: Loshchilov and Hutter 2017, equation 5."""

    total_steps: int
    floor: float = 0.0

    def __call__(self, step: int) -> float:
        progress = min(step / max(self.total_steps, 1), 1.0)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class WarmupLR:
    """Rise linearly to 1 over ``warmup_steps`` steps, then follow ``after`` (whose step 0 is the end of the warm-up)."""

    warmup_steps: int
    after: Schedule = ConstantLR()

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return self.after(step - self.warmup_steps)
