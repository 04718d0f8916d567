"""Parameters, and the tree of modules that holds them.

A module finds its parameters and children by looking at its own attributes in the order in which they were set, so that writing
``self.weight = Parameter(...)`` is all the registration there is. Names are the attribute paths, as in PyTorch:
``"conv1.weight"``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from minprune import backend
from minprune.errors import ShapeError
from minprune.tensor import Array, Tensor, TensorLike


class Parameter(Tensor):
    """A tensor that is trained, and perhaps pruned.

    ``mask`` is None, or a read-only bool array of the same shape: True where the weight is kept. Where it is False the weight is
    zero, its gradient is zero, and an optimizer's step leaves both so.
    """

    def __init__(self, data: TensorLike) -> None:
        super().__init__(data, requires_grad=True)
        self._mask: Array | None = None
        self._bits: dict[int, Array] = {}  # item size in bytes -> all ones where kept, all zeros where pruned

    @property
    def mask(self) -> Array | None:
        """Set by ``set_mask``."""
        return self._mask

    def set_mask(self, mask: Array | None) -> None:
        """Hold ``mask`` from now on (None releases it) and set the masked weights to zero.

        Raises:
            ShapeError: the mask has another shape.
            TypeError: the mask is not of bools.
        """
        if mask is not None:
            mask = np.array(mask)  # our own copy: nobody can change it behind our back
            if mask.dtype != bool:
                raise TypeError(f"a mask must be an array of bool, got dtype {mask.dtype}")
            if mask.shape != self.shape:
                raise ShapeError(f"expected a mask of shape {self.shape}, got {mask.shape}")
            mask.setflags(write=False)
        self._mask, self._bits = mask, {}
        if mask is not None:
            self.data = self.masked(self.data)
            self.grad = None if self.grad is None else self.masked(self.grad)

    def masked(self, array: Array, out: Array | None = None) -> Array:
        """``array`` (float, of this shape) with exact zeros where the mask prunes; written to ``out`` if given, else a new array.

        NaN and infinity become 0.0 too, which a product with 0 would not do.
        """
        return array if self._mask is None else backend.implementation("arithmetic", array.dtype).masked(array, self, out)

    def bits(self, itemsize: int) -> Array:
        """The mask as whole numbers of ``itemsize`` bytes: all ones where a weight is kept, all zeros where it is pruned."""
        assert self._mask is not None, "only masked parameters are asked"
        if itemsize not in self._bits:
            self._bits[itemsize] = -self._mask.astype(f"i{itemsize}")
        return self._bits[itemsize]

    def accumulate(self, grad: Array) -> None:
        super().accumulate(self.masked(grad))


class Module:
    """A part of a network: parameters, buffers, children, and ``forward``.

    Subclasses call ``super().__init__()``, set attributes and define ``forward``. ``buffer_names`` lists attributes that are saved
    with the model but not trained. ``config`` returns the arguments that build an equal module, for checkpoints.
    """

    buffer_names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.training = True

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *inputs: TensorLike) -> Tensor:
        return self.forward(*(x if isinstance(x, Tensor) else Tensor(x) for x in inputs))

    def config(self) -> dict[str, Any]:
        """Keyword arguments of the constructor, plain JSON values, that make a module of the same architecture."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define config(), so a checkpoint cannot describe it; "
            f"define it, or load with checkpoint.load(path, into=model)"
        )

    def children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the direct children, in the order in which they were set."""
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(path, module) of this module (path "") and everything below it."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(path, Parameter) in a fixed order; a parameter that is shared appears once, under its first path."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def parameters(self) -> list[Parameter]:
        """The parameters, in the order of ``named_parameters``."""
        return [p for _, p in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """(path, array) of what is saved but not trained, such as BatchNorm's running statistics."""
        for path, module in self.named_modules():
            for name in module.buffer_names:
                yield f"{path}.{name}" if path else name, getattr(module, name)

    @property
    def removed(self) -> tuple[str, ...]:
        """The children that ``remove`` took away, in the order in which they went."""
        return getattr(self, "_removed", ())

    def remove(self, names: Iterable[str]) -> None:
        """Take children away: their attributes become None."""
        for name in names:
            setattr(self, name, None)
            self._removed = (*self.removed, name)

    def train(self, mode: bool = True) -> Self:
        """Switch this module and everything below it to training behaviour (dropout on, batch statistics)."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation behaviour (dropout off, running statistics)."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[Self]:
        """Evaluation behaviour inside this block; afterwards each module is as it was, a frozen part in a training whole included."""
        modes = [(module, module.training) for _, module in self.named_modules()]
        try:
            yield self.eval()
        finally:
            for module, mode in modes:
                module.training = mode

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.parameters():
            p.grad = None

    def copy(self) -> Self:
        """An independent copy: weights, masks, buffers and mode."""
        return copy.deepcopy(self)

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by path. Masks are not part of it."""
        arrays = {name: p.data for name, p in self.named_parameters()} | dict(self.named_buffers())
        return {name: array.copy() for name, array in arrays.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Set all parameters and buffers; where a parameter has a mask, the mask is applied to what is loaded.

        Raises:
            KeyError: names are missing or unknown.
            ShapeError: an array has another shape. Nothing is changed in either case.
        """
        parameters, buffers = dict(self.named_parameters()), dict(self.named_buffers())
        shapes = {name: p.shape for name, p in parameters.items()} | {name: b.shape for name, b in buffers.items()}
        missing, unknown = shapes.keys() - state.keys(), state.keys() - shapes.keys()
        if missing or unknown:
            raise KeyError(f"state does not fit the model: missing {sorted(missing)}, unknown {sorted(unknown)}")
        for name, shape in shapes.items():
            if state[name].shape != shape:
                raise ShapeError(f"{name} expected shape {shape}, got {state[name].shape}")
        for name, p in parameters.items():
            p.data = state[name].astype(p.dtype, copy=True)
            p.set_mask(p.mask)
        for name, buffer in buffers.items():
            buffer[...] = state[name]
