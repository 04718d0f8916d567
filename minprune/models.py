"""The networks of the course, small enough to train on a laptop.

Each takes images (N, C, H, W) and returns logits (N, K); ``input_shape`` is the (C, H, W) that it expects. ``config`` holds the
constructor's arguments, so that a checkpoint can build the same network again.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from minprune import ops
from minprune.errors import ShapeError, check_name
from minprune.nn import BatchNorm2d, Conv2d, Linear, Module, build, describe
from minprune.tensor import Tensor


class ImageModel(Module):
    """A network for images of one fixed shape: remembers the arguments it was built with and checks its input.

    ``input_shape`` is (C, H, W); None as height or width would be meaningless, so all three are needed. ``resized`` is set where surgery
    gave layers other sizes than the constructor does; the description then lists every layer, None for one that is gone.
    """

    resized = False

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int, **settings: Any) -> None:
        super().__init__()
        if len(input_shape) != 3 or min(input_shape) < 1:
            raise ShapeError(f"{type(self).__name__} expected an input_shape (C, H, W), got {input_shape}")
        if num_classes < 1:
            raise ValueError(f"{type(self).__name__} expected num_classes >= 1, got {num_classes}")
        self.input_shape = tuple(int(n) for n in input_shape)
        self.num_classes = operator.index(num_classes)  # a plain int, which a checkpoint can write as JSON
        self._settings = settings

    def config(self) -> dict[str, Any]:
        layers = {"layers": self._layers()} if self.resized else {}
        return {"input_shape": list(self.input_shape), "num_classes": self.num_classes, **self._settings, **layers}

    def _layers(self) -> dict[str, dict[str, Any] | None]:
        """{path: description} of every part that has no parts of its own; None for an attribute that holds a layer no more."""
        found: dict[str, dict[str, Any] | None] = {}
        for path, module in self.named_modules():
            if not any(module.children()):
                found[path] = describe(module)
            found |= {f"{path}.{name}" if path else name: None for name in module.removed}
        return found

    def __call__(self, x: Any) -> Tensor:
        x = x if isinstance(x, Tensor) else Tensor(x)
        if x.shape[1:] != self.input_shape:
            raise ShapeError(f"{type(self).__name__} expected images of shape (N, {', '.join(map(str, self.input_shape))}), got {x.shape}")
        return self.forward(x)


class LeNet300100(ImageModel):
    """Two hidden layers of 300 and 100 units with ReLU: 266,610 parameters on MNIST. Source: LeCun et al. 1998."""

    def __init__(self, input_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 10, *, rng: np.random.Generator) -> None:
        super().__init__(input_shape, num_classes)
        self.fc1 = Linear(math.prod(self.input_shape), 300, rng=rng)
        self.fc2 = Linear(300, 100, rng=rng)
        self.fc3 = Linear(100, num_classes, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        x = ops.relu(self.fc1(ops.flatten(x)))
        return self.fc3(ops.relu(self.fc2(x)))


class LeNet5(ImageModel):
    """Caffe's LeNet-5, 20-50-500-10, with no ReLU after its convolutions: 431,080 parameters on MNIST.

    Source: Jia et al. 2014 (``lenet_train_test.prototxt``), which is the network of Han et al. 2015 and Guo et al. 2016.
    """

    def __init__(self, input_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 10, *, rng: np.random.Generator) -> None:
        super().__init__(input_shape, num_classes)
        c, h, w = self.input_shape
        if min(h, w) < 16:
            raise ShapeError(f"LeNet5 expected images of at least 16x16, got {h}x{w}")
        y, x = (((n - 4) // 2 - 4) // 2 for n in (h, w))
        self.conv1 = Conv2d(c, 20, 5, init="xavier", rng=rng)
        self.conv2 = Conv2d(20, 50, 5, init="xavier", rng=rng)
        self.fc1 = Linear(50 * y * x, 500, rng=rng)
        self.fc2 = Linear(500, num_classes, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        x = ops.max_pool2d(self.conv1(x), 2)
        x = ops.max_pool2d(self.conv2(x), 2)
        return self.fc2(ops.relu(self.fc1(ops.flatten(x))))


class SmallConvNet(ImageModel):
    """Two 3x3 convolutions with ReLU, one pooling, two Dense layers: the network of the first lessons, for 8x8 digits."""

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (1, 8, 8),
        num_classes: int = 10,
        widths: tuple[int, int, int] = (16, 32, 64),
        *,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(input_shape, num_classes, widths=list(widths))
        c, h, w = self.input_shape
        first, second, hidden = widths
        self.conv1 = Conv2d(c, first, 3, padding=1, rng=rng)
        self.conv2 = Conv2d(first, second, 3, padding=1, rng=rng)
        self.fc1 = Linear(second * (h // 2) * (w // 2), hidden, rng=rng)
        self.fc2 = Linear(hidden, num_classes, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        x = ops.relu(self.conv1(x))
        x = ops.max_pool2d(ops.relu(self.conv2(x)), 2)
        return self.fc2(ops.relu(self.fc1(ops.flatten(x))))


class ResidualBlock(Module):
    """y = ReLU(BN(conv(ReLU(BN(conv(x))))) + shortcut(x)); the shortcut is x itself where the shapes allow it.

    Source: He et al. 2016, figure 2, with the 1x1 projection (option B) where the number of channels or the size changes. Surgery may take
    the branch away (``drop_branch``); then y = ReLU(shortcut(x)).
    """

    branch = ("conv1", "bn1", "conv2", "bn2")

    def __init__(self, in_channels: int, out_channels: int, stride: int, *, rng: np.random.Generator) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False, rng=rng)
        self.bn1 = BatchNorm2d(out_channels)
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1, bias=False, rng=rng)
        self.bn2 = BatchNorm2d(out_channels)
        if stride != 1 or in_channels != out_channels:
            self.projection: Conv2d | None = Conv2d(in_channels, out_channels, 1, stride, bias=False, rng=rng)
            self.projection_bn: BatchNorm2d | None = BatchNorm2d(out_channels)
        else:
            self.projection = self.projection_bn = None

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.projection is None or self.projection_bn is None else self.projection_bn(self.projection(x))
        if self.removed:
            return ops.relu(shortcut)
        return ops.relu(self.bn2(self.conv2(ops.relu(self.bn1(self.conv1(x))))) + shortcut)

    def drop_branch(self) -> None:
        """Leave the shortcut alone."""
        self.remove(self.branch)


class ResNet(ImageModel):
    """A small residual network: a 3x3 stem, stages of residual blocks (halving the image from the second on), average, Dense.

    Args:
        widths: channels of each stage.
        blocks: residual blocks in each stage.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
        widths: tuple[int, ...] = (16, 32, 64),
        blocks: int = 1,
        *,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(input_shape, num_classes, widths=list(widths), blocks=blocks)
        if not widths or blocks < 1:
            raise ValueError(f"ResNet expected at least one width and one block, got widths={widths}, blocks={blocks}")
        self.stem = Conv2d(self.input_shape[0], widths[0], 3, padding=1, bias=False, rng=rng)
        self.stem_bn = BatchNorm2d(widths[0])
        self.block_names: list[str] = []
        channels = widths[0]
        for stage, width in enumerate(widths, start=1):
            for i in range(1, blocks + 1):
                name = f"stage{stage}_block{i}"
                setattr(self, name, ResidualBlock(channels, width, 2 if stage > 1 and i == 1 else 1, rng=rng))
                self.block_names.append(name)
                channels = width
        self.fc = Linear(channels, num_classes, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        x = ops.relu(self.stem_bn(self.stem(x)))
        for name in self.block_names:
            x = getattr(self, name)(x)
        return self.fc(ops.global_avg_pool2d(x))


MODELS: dict[str, type[ImageModel]] = {cls.__name__.lower(): cls for cls in (LeNet300100, LeNet5, SmallConvNet, ResNet)}


def create(name: str, *, rng: np.random.Generator, **arguments: Any) -> ImageModel:
    """A new network by its lower-case name, one of ``MODELS``.

    Raises:
        ValueError: an unknown name; the message suggests the nearest.
    """
    return MODELS[check_name("model", name, MODELS)](**arguments, rng=rng)


def from_description(description: dict[str, Any]) -> Module:
    """A module of the described architecture (see ``nn.describe``), whose weights are about to be overwritten."""
    rng = np.random.default_rng(0)
    kinds = {cls.__name__: cls for cls in MODELS.values()}
    arguments = dict(description)
    kind = kinds.get(arguments.pop("type"))
    if kind is None:
        return build(description, rng=rng)
    arguments["input_shape"] = tuple(arguments["input_shape"])
    layers = arguments.pop("layers", {})
    model = kind(**arguments, rng=rng)
    for path, layer in layers.items():
        owner, _, name = path.rpartition(".")
        parent = dict(model.named_modules())[owner]
        if layer is None:
            parent.remove((name,))
        else:
            setattr(parent, name, build(layer, rng=rng))
    model.resized = bool(layers)
    return model
