"""A NumPy array that remembers how it was made, so that gradients can flow back through it.

In: arrays. Out: arrays with a tape: every result knows its parents, the name of the operation that made it, and a function
``grad -> one gradient per parent``. Arithmetic stands here, each derivative beside its formula; what neural networks add to it
(convolution, pooling, losses) is in ``ops``. How gradients travel is in ``tape``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minprune import backend
from minprune.broadcast import Axis, is_basic_index, respread, unbroadcast
from minprune.errors import ShapeError
from minprune.tape import Array, Vjp, backpropagate, is_recording

TensorLike = Any  # a Tensor, or whatever np.asarray takes


class Tensor:
    """An array, its gradient, and the tape that leads to it.

    Args:
        data: array-like. float32 and float64 arrays keep their dtype and are not copied; everything else becomes float32.
        requires_grad: whether ``backward`` shall leave a gradient in ``.grad`` (an array of the same shape, or None).

    ``parents``, ``op`` and ``attributes`` describe the operation that made this tensor. A leaf has ``op == "leaf"``.
    """

    __array_ufunc__ = None  # ndarray + Tensor shall be Tensor.__radd__, not an array of objects

    def __init__(self, data: TensorLike, requires_grad: bool = False) -> None:
        array = data.data if isinstance(data, Tensor) else np.asarray(data)
        self.data: Array = array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
        self.grad: Array | None = None
        self.requires_grad = requires_grad
        self.parents: tuple[Tensor, ...] = ()
        self.op = "leaf"
        self.attributes: dict[str, Any] = {}
        self.vjp: Vjp | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    def item(self) -> float:
        """The value of a tensor with one element, as a Python float."""
        return self.data.item()

    def numpy(self) -> Array:
        """The array itself (not a copy)."""
        return self.data

    def detach(self) -> Tensor:
        """The same array with no tape behind it."""
        return Tensor(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        made_by = "" if self.op == "leaf" else f", op={self.op!r}"
        return f"Tensor({np.array2string(self.data, precision=4, threshold=20)}, shape={self.shape}{made_by})"

    def accumulate(self, grad: Array) -> None:
        """Add ``grad`` to ``.grad``. Never in place: the array may belong to another tensor too."""
        self.grad = grad if self.grad is None else self.grad + grad

    def backward(self, grad: TensorLike | None = None) -> None:
        """Leave d(self)/d(leaf), contracted with ``grad``, in the ``.grad`` of every leaf that requires it.

        Args:
            grad: the gradient with respect to this tensor, of its shape. May be left out for a single element (1.0).

        The tape is used up: intermediate results are released on the way, so that memory falls as the walk proceeds.

        Raises:
            ShapeError: ``grad`` has another shape, or is missing where the tensor has several elements.
            RuntimeError: nothing here requires a gradient, or the tape was used up by an earlier call.
        """
        if not self.requires_grad:
            raise RuntimeError("backward() needs a tensor that depends on one with requires_grad=True; this one does not")
        if grad is None and self.size != 1:
            raise ShapeError(f"backward() without a gradient needs a single element, but the tensor has shape {self.shape}")
        seed = np.ones_like(self.data) if grad is None else np.asarray(Tensor(grad).data, dtype=self.dtype)
        if seed.shape != self.shape:
            raise ShapeError(f"backward() expected a gradient of shape {self.shape}, got {seed.shape}")

        backpropagate(self, seed)

    def __add__(self, other: TensorLike) -> Tensor:
        return add(self, other)

    def __sub__(self, other: TensorLike) -> Tensor:
        return sub(self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return sub(other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return mul(self, other)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return div(self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return div(other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return matmul(self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return matmul(other, self)

    def __pow__(self, exponent: float) -> Tensor:
        return power(self, exponent)

    def __neg__(self) -> Tensor:
        return mul(self, -1.0)

    def __getitem__(self, index: Any) -> Tensor:
        return getitem(self, index)

    __radd__ = __add__
    __rmul__ = __mul__

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return reduce_sum(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return reduce_mean(self, axis, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return reduce_max(self, axis, keepdims)

    def reshape(self, *shape: int) -> Tensor:
        return reshape(self, shape)

    def transpose(self, *axes: int) -> Tensor:
        return transpose(self, axes)

    @property
    def T(self) -> Tensor:
        return transpose(self, ())

    def exp(self) -> Tensor:
        return exp(self)

    def log(self) -> Tensor:
        return log(self)


def as_tensor(value: TensorLike, like: Tensor | None = None) -> Tensor:
    """``value`` itself if it is a Tensor, else a new one; a plain number takes the dtype of ``like``."""
    if isinstance(value, Tensor):
        return value
    if like is not None and np.ndim(value) == 0:
        return Tensor(np.asarray(value, dtype=like.dtype))
    return Tensor(value)


def record(op: str, data: Array, parents: Sequence[Tensor], vjp: Vjp, **attributes: Any) -> Tensor:
    """The result of an operation, with its tape unless no parent needs a gradient or ``no_grad`` is in force."""
    out = Tensor(data)
    if is_recording() and any(p.requires_grad for p in parents):
        out.requires_grad = True
        out.op, out.parents, out.attributes, out.vjp = op, tuple(parents), attributes, vjp
    return out


def _pair(op: str, a: TensorLike, b: TensorLike) -> tuple[Tensor, Tensor]:
    a, b = (as_tensor(a, b if isinstance(b, Tensor) else None), as_tensor(b, a if isinstance(a, Tensor) else None))
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ShapeError(f"{op} expected shapes that broadcast together, got {a.shape} and {b.shape}") from None
    return a, b


def add(a: TensorLike, b: TensorLike) -> Tensor:
    """Elementwise a + b with broadcasting."""
    a, b = _pair("add", a, b)
    return record(
        "add",
        backend.implementation("arithmetic", a.dtype).add(a.data, b.data),
        (a, b),
        lambda g: (unbroadcast(g, a.shape), unbroadcast(g, b.shape)),
    )


def sub(a: TensorLike, b: TensorLike) -> Tensor:
    """Elementwise a - b with broadcasting."""
    a, b = _pair("sub", a, b)
    return record("sub", a.data - b.data, (a, b), lambda g: (unbroadcast(g, a.shape), unbroadcast(-g, b.shape)))


def mul(a: TensorLike, b: TensorLike) -> Tensor:
    """Elementwise a * b with broadcasting: d(ab) = b da + a db."""
    a, b = _pair("mul", a, b)
    return record("mul", a.data * b.data, (a, b), lambda g: (unbroadcast(g * b.data, a.shape), unbroadcast(g * a.data, b.shape)))


def div(a: TensorLike, b: TensorLike) -> Tensor:
    """Elementwise a / b with broadcasting: d(a/b) = da / b - a db / b²."""
    a, b = _pair("div", a, b)
    out = a.data / b.data
    return record("div", out, (a, b), lambda g: (unbroadcast(g / b.data, a.shape), unbroadcast(-g * out / b.data, b.shape)))


def power(a: TensorLike, exponent: float) -> Tensor:
    """Elementwise a ** n for a plain number n: d(aⁿ) = n aⁿ⁻¹ da."""
    if isinstance(exponent, Tensor) or np.ndim(exponent) != 0:
        raise TypeError(f"pow expected a plain number as exponent, got {type(exponent).__name__}")
    a = as_tensor(a)

    def vjp(g: Array) -> tuple[Array]:
        return (g * (exponent * a.data ** (exponent - 1)) if exponent != 0 else np.zeros_like(g),)

    return record("pow", a.data**exponent, (a,), vjp)


def exp(a: TensorLike) -> Tensor:
    """Elementwise eᵃ."""
    a = as_tensor(a)
    out = np.exp(a.data)
    return record("exp", out, (a,), lambda g: (g * out,))


def log(a: TensorLike) -> Tensor:
    """Elementwise natural logarithm."""
    a = as_tensor(a)
    return record("log", np.log(a.data), (a,), lambda g: (g / a.data,))


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """a @ b with NumPy's rules: the last two axes multiply, leading axes broadcast, vectors are rows or columns.

    For matrices: dA = dY Bᵀ and dB = Aᵀ dY.

    Raises:
        ShapeError: an operand is a plain number, or the inner sizes differ.
    """
    a, b = as_tensor(a), as_tensor(b)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ShapeError(f"matmul expected shapes (..., n, k) and (..., k, m), got {a.shape} and {b.shape}")
    try:
        out = a.data @ b.data
    except ValueError:
        raise ShapeError(f"matmul expected leading axes that broadcast together, got {a.shape} and {b.shape}") from None
    left = a.data[None, :] if a.ndim == 1 else a.data  # (..., n, k)
    right = b.data[:, None] if b.ndim == 1 else b.data  # (..., k, m)

    def vjp(g: Array) -> tuple[Array | None, Array | None]:
        if a.ndim == 1:
            g = np.expand_dims(g, -2 if b.ndim > 1 else -1)
        if b.ndim == 1:
            g = np.expand_dims(g, -1)
        da = unbroadcast(g @ right.swapaxes(-1, -2), left.shape).reshape(a.shape) if a.requires_grad else None
        db = unbroadcast(left.swapaxes(-1, -2) @ g, right.shape).reshape(b.shape) if b.requires_grad else None
        return da, db

    return record("matmul", out, (a, b), vjp)


def reduce_sum(a: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over ``axis`` (all axes if None)."""
    a = as_tensor(a)
    out = np.asarray(a.data.sum(axis=axis, keepdims=keepdims))
    return record("sum", out, (a,), lambda g: (np.broadcast_to(respread(g, axis, keepdims, a.ndim), a.shape),), axis=axis)


def reduce_mean(a: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean over ``axis`` (all axes if None)."""
    a = as_tensor(a)
    out = np.asarray(a.data.mean(axis=axis, keepdims=keepdims))
    share = out.size / max(a.size, 1)
    return record("mean", out, (a,), lambda g: (np.broadcast_to(respread(g * share, axis, keepdims, a.ndim), a.shape),), axis=axis)


def reduce_max(a: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Maximum over ``axis`` (all axes if None); equal maxima share the gradient, as in ``torch.amax``."""
    a = as_tensor(a)
    top = a.data.max(axis=axis, keepdims=True)
    out = top if keepdims else np.asarray(a.data.max(axis=axis))

    def vjp(g: Array) -> tuple[Array]:
        hit = a.data == top
        return (hit * (respread(g, axis, keepdims, a.ndim) / hit.sum(axis=axis, keepdims=True, dtype=a.dtype)),)

    return record("max", out, (a,), vjp, axis=axis)


def reshape(a: TensorLike, shape: int | Sequence[int]) -> Tensor:
    """The same elements in another shape; one entry may be -1."""
    a = as_tensor(a)
    if isinstance(shape, Sequence) and len(shape) == 1 and isinstance(shape[0], Sequence):
        shape = shape[0]
    try:
        out = a.data.reshape(shape)
    except ValueError:
        raise ShapeError(f"reshape expected a shape with {a.size} elements, got {tuple(np.atleast_1d(shape))} for {a.shape}") from None
    return record("reshape", out, (a,), lambda g: (g.reshape(a.shape),))


def transpose(a: TensorLike, axes: Sequence[int] = ()) -> Tensor:
    """Axes in another order; without ``axes``, reversed."""
    a = as_tensor(a)
    if len(axes) == 1 and isinstance(axes[0], Sequence):
        axes = axes[0]
    order = tuple(axes) or tuple(range(a.ndim))[::-1]
    if sorted(i % a.ndim if -a.ndim <= i < a.ndim else -1 for i in order) != list(range(a.ndim)):
        raise ShapeError(f"transpose expected a permutation of {a.ndim} axes, got {order}")
    order = tuple(i % a.ndim for i in order)
    return record("transpose", a.data.transpose(order), (a,), lambda g: (g.transpose(np.argsort(order)),), axes=order)


def getitem(a: TensorLike, index: Any) -> Tensor:
    """NumPy indexing, basic or with arrays; an element picked twice receives both gradients."""
    a = as_tensor(a)

    def vjp(g: Array) -> tuple[Array]:
        grad = np.zeros_like(a.data)
        if is_basic_index(index):
            grad[index] = g
        else:
            np.add.at(grad, index, g)
        return (grad,)

    return record("getitem", np.asarray(a.data[index]), (a,), vjp, index=index)
