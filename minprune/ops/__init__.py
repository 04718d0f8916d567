"""The operations of neural networks on tensors, one file per family; shapes are (N, C, H, W)."""

from minprune.geometry import as_pair
from minprune.ops.activation import dropout, relu
from minprune.ops.conv import conv2d
from minprune.ops.grouped import grouped_conv2d
from minprune.ops.linear import linear
from minprune.ops.loss import cross_entropy
from minprune.ops.norm import RunningStats, batch_norm
from minprune.ops.pool import avg_pool2d, global_avg_pool2d, max_pool2d
from minprune.ops.shape import concat, flatten, split

__all__ = [
    "RunningStats",
    "as_pair",
    "avg_pool2d",
    "batch_norm",
    "concat",
    "conv2d",
    "cross_entropy",
    "dropout",
    "flatten",
    "global_avg_pool2d",
    "grouped_conv2d",
    "linear",
    "max_pool2d",
    "relu",
    "split",
]
