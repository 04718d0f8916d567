"""Small networks, one for each way in which channels can hang together; all take images of their ``shape`` and have random BatchNorms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import minprune as mp
from minprune import ops
from minprune.nn import BatchNorm2d, Conv2d, Flatten, GroupedConv2d, Linear, MaxPool2d, Module, Parameter, ReLU, Sequential, Split


def conv(c, o, rng, k=3, **settings):
    return Conv2d(c, o, k, padding=k // 2, rng=rng, **settings)


def plain(rng):
    """Convolution, flatten, Dense; the second convolution has no padding, so that constants can be folded into it."""
    return Sequential(
        Conv2d(2, 6, 3, rng=rng),
        ReLU(),
        MaxPool2d(2),
        Conv2d(6, 5, 2, rng=rng),
        ReLU(),
        Flatten(),
        Linear(20, 8, rng=rng),
        ReLU(),
        Linear(8, 3, rng=rng),
    )


class Residual(Module):
    """x + fc2(ReLU(fc1(x))), or x alone once surgery took the branch."""

    def __init__(self, size, hidden, rng):
        super().__init__()
        self.fc1, self.fc2 = Linear(size, hidden, rng=rng), Linear(hidden, size, rng=rng)

    def forward(self, x):
        return x if self.removed else x + self.fc2(ops.relu(self.fc1(x)))

    def drop_branch(self):
        self.remove(("fc1", "fc2"))


class ResidualMLP(Module):
    def __init__(self, rng):
        super().__init__()
        self.stem = Linear(72, 10, rng=rng)
        self.block1, self.block2 = Residual(10, 7, rng), Residual(10, 6, rng)
        self.head = Linear(10, 3, rng=rng)

    def forward(self, x):
        return self.head(ops.relu(self.block2(self.block1(ops.relu(self.stem(ops.flatten(x)))))))


class Dense(Module):
    """DenseNet-like: every layer reads all that came before, normalised for it alone."""

    def __init__(self, rng):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv(2, 4, rng), conv(4, 5, rng, bias=False), conv(9, 6, rng)
        self.bn1, self.bn2 = BatchNorm2d(4), BatchNorm2d(9)
        self.head = Linear(15, 3, rng=rng)

    def forward(self, x):
        x = self.conv1(x)
        x = ops.concat([x, self.conv2(ops.relu(self.bn1(x)))])
        x = ops.concat([x, self.conv3(ops.relu(self.bn2(x)))])
        return self.head(ops.global_avg_pool2d(x))


class CascadedConcat(Module):
    """A concatenation of a concatenation, and one part used twice."""

    def __init__(self, rng):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv(2, 3, rng), conv(2, 4, rng), conv(7, 5, rng)
        self.join = conv(3 + 4 + 5 + 3, 6, rng)
        self.head = Linear(6 * 36, 3, rng=rng)

    def forward(self, x):
        a, b = ops.relu(self.conv1(x)), ops.relu(self.conv2(x))
        ab = ops.concat([a, b])
        x = self.join(ops.concat([ops.concat([ab, self.conv3(ab)]), a]))
        return self.head(ops.flatten(ops.relu(x)))


class Splitting(Module):
    """One convolution whose outputs go two ways."""

    def __init__(self, first, second, rng):
        super().__init__()
        self.stem, self.split = conv(2, first + second, rng), Split(first, second)
        self.left, self.right = conv(first, 4, rng), conv(second, 4, rng, k=1)
        self.head = Linear(4 * 36, 3, rng=rng)

    def forward(self, x):
        a, b = self.split(ops.relu(self.stem(x)))
        return self.head(ops.flatten(ops.relu(self.left(a)) + ops.relu(self.right(b))))


def depthwise(rng):
    """Depthwise-separable: each channel filtered by itself (twice over), then mixed."""
    return Sequential(
        conv(2, 6, rng),
        BatchNorm2d(6),
        ReLU(),
        GroupedConv2d(6, 12, 3, groups=6, padding=1, bias=False, rng=rng),
        BatchNorm2d(12),
        ReLU(),
        conv(12, 5, rng, k=1),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(45, 3, rng=rng),
    )


def grouped(rng):
    """Two groups, then an ordinary convolution."""
    return Sequential(
        conv(2, 8, rng),
        ReLU(),
        GroupedConv2d(8, 6, 3, groups=2, padding=1, rng=rng),
        ReLU(),
        conv(6, 4, rng),
        Flatten(),
        Linear(144, 3, rng=rng),
    )


class SqueezeExcite(Module):
    """Channels are scaled by gates in (0, 1) that are computed from all of them."""

    def __init__(self, rng):
        super().__init__()
        self.conv1, self.conv2 = conv(2, 8, rng), conv(8, 5, rng)
        self.squeeze, self.excite = Linear(8, 4, rng=rng), Linear(4, 8, rng=rng)
        self.head = Linear(5, 3, rng=rng)

    def forward(self, x):
        x = ops.relu(self.conv1(x))
        gate = 1 / (1 + (-self.excite(ops.relu(self.squeeze(ops.global_avg_pool2d(x))))).exp())
        x = x * gate.reshape(*gate.shape, 1, 1)
        return self.head(self.conv2(x).mean(axis=(2, 3)))


class Transposed(Module):
    """One weight used both ways, as in a tied autoencoder, inside a residual sum; and once more by a plain matmul."""

    def __init__(self, rng):
        super().__init__()
        self.stem, self.head = Linear(72, 9, rng=rng), Linear(9, 3, rng=rng)
        self.tied = Parameter(rng.standard_normal((6, 9)).astype(np.float32))
        self.scale = Parameter(rng.standard_normal(9).astype(np.float32))

    def forward(self, x):
        x = ops.relu(self.stem(ops.flatten(x)))
        hidden = ops.relu(ops.linear(x, self.tied))
        back = ops.linear(hidden, self.tied.T) * self.scale
        return self.head(ops.relu(back + ops.relu(x @ self.tied.T) @ self.tied))


class TwoHeads(Module):
    def __init__(self, rng):
        super().__init__()
        self.conv1, self.conv2 = conv(2, 6, rng), conv(6, 7, rng)
        self.left, self.right = Linear(7, 3, rng=rng), Linear(6 * 36, 2, rng=rng)

    def forward(self, x):
        x = ops.relu(self.conv1(x))
        return self.left(ops.global_avg_pool2d(ops.relu(self.conv2(x)))), self.right(ops.flatten(x))


class Shared(Module):
    """The same convolution applied twice, and a parameter that nobody uses."""

    def __init__(self, rng):
        super().__init__()
        self.stem, self.twice = conv(2, 6, rng), conv(6, 6, rng)
        self.idle = Parameter(np.ones((2, 2), np.float32))
        self.head = Linear(6, 3, rng=rng)

    def forward(self, x):
        x = ops.relu(self.twice(ops.relu(self.twice(ops.relu(self.stem(x))))))
        return self.head(ops.global_avg_pool2d(x))


@dataclass(frozen=True)
class Topology:
    """How to make a network, and what it consists of."""

    make: object
    shape: tuple = (2, 6, 6)
    convolutions: bool = True
    branches: int = 0

    def build(self, seed: int = 0, dtype: type = np.float64) -> Module:
        """The network with random biases and BatchNorms, in evaluation mode."""
        rng = np.random.default_rng(seed)
        model = self.make(rng)
        for _, module in model.named_modules():
            if isinstance(module, BatchNorm2d):
                module.weight.data = rng.uniform(0.5, 1.5, module.weight.shape)
                module.running_mean = rng.standard_normal(module.weight.shape).astype(dtype)
                module.running_var = rng.uniform(0.5, 1.5, module.weight.shape).astype(dtype)
            if vars(module).get("bias") is not None:
                module.bias.data = rng.standard_normal(module.bias.shape)
        for p in model.parameters():
            p.data = p.data.astype(dtype)
        return model.eval()


TOPOLOGIES = {
    "plain": Topology(plain, shape=(2, 8, 8)),
    "residual MLP": Topology(ResidualMLP, convolutions=False, branches=2),
    "ResNet": Topology(lambda rng: mp.models.ResNet((2, 6, 6), 3, widths=(6,), blocks=2, rng=rng), branches=2),
    "ResNet with projections": Topology(lambda rng: mp.models.ResNet((2, 6, 6), 3, widths=(5, 8), rng=rng), branches=2),
    "concat": Topology(Dense),
    "cascaded concat": Topology(CascadedConcat),
    "split": Topology(lambda rng: Splitting(4, 4, rng)),
    "unequal split": Topology(lambda rng: Splitting(3, 7, rng)),
    "depthwise-separable": Topology(depthwise),
    "grouped": Topology(grouped),
    "squeeze-and-excite": Topology(SqueezeExcite),
    "transposed": Topology(Transposed, convolutions=False),
    "two heads": Topology(TwoHeads),
    "shared": Topology(Shared),
}
