"""The networks of ``minprune.models`` written in PyTorch: peers for the benchmarks, imported only where torch is installed."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn import functional as F  # noqa: N812 (PyTorch's own abbreviation)


class TorchLeNet300100(nn.Module):
    """The twin of ``LeNet300100``."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 300), nn.Linear(300, 100), nn.Linear(100, 10)

    def forward(self, x: Any) -> Any:
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class TorchLeNet5(nn.Module):
    """The twin of ``LeNet5``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(self.conv2(F.max_pool2d(self.conv1(x), 2)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class TorchBlock(nn.Module):
    """The twin of ``ResidualBlock``."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.projection: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.projection = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.projection_bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Any) -> Any:
        branch = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(branch + (x if self.projection is None else self.projection_bn(self.projection(x))))


class TorchResNet(nn.Module):
    """The twin of ``ResNet`` with widths 16, 32, 64 and one block a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.stage1_block1 = TorchBlock(16, 16, 1)
        self.stage2_block1 = TorchBlock(16, 32, 2)
        self.stage3_block1 = TorchBlock(32, 64, 2)
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.stem_bn(self.stem(x)))
        x = self.stage3_block1(self.stage2_block1(self.stage1_block1(x)))
        return self.fc(x.mean(dim=(2, 3)))


TORCH_MODELS: dict[str, type[nn.Module]] = {"lenet300100": TorchLeNet300100, "lenet5": TorchLeNet5, "resnet": TorchResNet}
