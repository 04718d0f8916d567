"""Size, work and time of a network: always reported together."""

from minprune.metrics.flops import LayerMacs, macs
from minprune.metrics.latency import Latency, latency, measure
from minprune.metrics.size import ParameterSize, Size, saved_bytes, size
from minprune.metrics.summary import Summary, summary

__all__ = ["Latency", "LayerMacs", "ParameterSize", "Size", "Summary", "latency", "macs", "measure", "saved_bytes", "size", "summary"]
