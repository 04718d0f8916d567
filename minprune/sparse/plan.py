"""Where everything lies: layers in, a program and its workspace out.

Every value gets a region of the workspace, in positions. A value that a padded convolution reads has its border of zeros around it and a
region of its own, zeroed once and written only in its middle; the others share memory with values whose time is over. A concatenation is
written by copies, a flatten costs nothing unless a border is in the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from minprune.kernels.conv_steps import ROWS
from minprune.kernels.fields import FIELDS, KINDS, Arrays
from minprune.kernels.micro import LANES
from minprune.sparse.formats import CSR, Pattern
from minprune.sparse.trace import Layer, Shape, Trace, conv_places, kept
from minprune.tensor import Array

SLACK = 5 * LANES  # positions behind a region of a single image, into which whole vectors may hang over
Fields = dict[str, int]


@dataclass(frozen=True)
class Region:
    """A value's place: channel c, row y, column x is at start + c · plane + y · row + x, in positions."""

    start: int
    shape: Shape
    plane: int
    row: int

    def to_row(self) -> list[int]:
        """As the machine takes it: (start, C, H, W, plane, row)."""
        return [self.start, *self.shape, self.plane, self.row]


@dataclass
class Collected:
    """A program's numbers, collected layer by layer; ``add`` tells where each part begins."""

    dense: list[Array] = field(default_factory=list)
    narrow: list[Array] = field(default_factory=list)
    narrow_offsets: list[Array] = field(default_factory=list)
    wide: list[Array] = field(default_factory=list)
    wide_offsets: list[Array] = field(default_factory=list)
    starts: list[Array] = field(default_factory=list)
    biases: list[Array] = field(default_factory=list)
    tables: list[Array] = field(default_factory=list)
    positions: list[Array] = field(default_factory=list)

    def add(self, name: str, array: Array) -> int:
        """Append ``array``; returns the index at which it begins."""
        parts = getattr(self, name)
        at = sum(p.size for p in parts)
        parts.append(array.ravel())
        return at

    def joined(self) -> Arrays:
        """As the machine takes them."""
        kinds = {"narrow_offsets": np.uint16, "wide_offsets": np.int32, "starts": np.int32, "tables": np.int32, "positions": np.uint8}
        return Arrays(*(np.concatenate([*getattr(self, n), []]).astype(kinds.get(n, np.float32)) for n in Arrays._fields))


@dataclass(frozen=True)
class Program:
    """What the machine runs: the steps, their arrays, where images come in and results go out, and how many positions it all takes."""

    steps: Array
    arrays: Arrays
    entry: tuple[int, ...]
    exits: Array
    positions: int

    @property
    def nbytes(self) -> int:
        """Bytes of weights, offsets, row starts, biases, tables and positions."""
        return sum(a.nbytes for a in self.arrays)


def make_program(trace: Trace, path: Callable[[Layer], str]) -> Program:
    """The program of a traced network; ``path`` says of a layer with weights which it takes: "dense", "sparse" or "pattern" (n:m)."""
    layers = _with_copies(trace)
    regions, end = _place(trace, layers)
    scratch = max((_scratch_of(layer, regions) for layer in layers), default=0)
    arrays = Collected()
    rows = [fields for layer in layers for fields in _steps(layer, regions, end, arrays, path)]
    steps = np.array([[fields.get(name, 0) for name in FIELDS] for fields in rows], np.int64).reshape(len(rows), len(FIELDS))
    exits = np.array([regions[value].to_row() for value, _ in trace.outputs], np.int64)
    return Program(steps, arrays.joined(), tuple(regions[trace.input].to_row()), exits, end + scratch + SLACK)


def _paddings(layers: list[Layer]) -> dict[int, tuple[int, int]]:
    """The border that each value needs: the largest padding of the convolutions that read it."""
    need: dict[int, tuple[int, int]] = {}
    for layer in layers:
        if layer.kind == "conv":
            old, new = need.get(layer.inputs[0], (0, 0)), layer.geometry.padding
            need[layer.inputs[0]] = max(old[0], new[0]), max(old[1], new[1])
    return need


def _with_copies(trace: Trace) -> list[Layer]:
    """The layers with a flatten that can be another name of its input marked as such, and a copy before one that cannot."""
    need, result = _paddings(trace.layers), []
    for layer in trace.layers:
        if layer.kind == "flatten" and any(need.get(layer.inputs[0], (0, 0))):
            copy = -layer.output  # a value of its own, without the border
            result.append(replace(layer, kind="copy", output=copy, shape=layer.shapes[0]))
            result.append(replace(layer, inputs=(copy,)))
        else:
            result.append(layer)
    return result


def _place(trace: Trace, layers: list[Layer]) -> tuple[dict[int, Region], int]:
    """A region for every value, and the number of positions of all of them."""
    need = _paddings(layers)
    shapes = {trace.input: _as_shape(trace.input_shape)} | {layer.output: layer.shape for layer in layers}
    alias = {layer.output: layer.inputs[0] for layer in layers if layer.kind == "flatten"}

    def owner(value: int) -> int:
        while value in alias:
            value = alias[value]
        return value

    born = {trace.input: -1} | {layer.output: time for time, layer in enumerate(layers) if layer.kind != "flatten"}
    dies = dict(born)
    for time, layer in enumerate(layers):
        for value in layer.inputs:
            dies[owner(value)] = time
    for value, _ in trace.outputs:
        dies[owner(value)] = len(layers)
    sizes = {value: _size(shapes[value], need.get(value, (0, 0))) for value in born}
    starts: dict[int, int] = {}
    end = 0
    for value in sorted(born, key=lambda v: (not any(need.get(v, (0, 0))), born[v])):
        bordered = any(need.get(value, (0, 0)))
        taken = sorted(
            (starts[v], starts[v] + sizes[v])
            for v in starts
            if bordered or any(need.get(v, (0, 0))) or (born[v] <= dies[value] and born[value] <= dies[v])
        )
        at = 0
        for low, high in taken:
            if at + sizes[value] <= low:
                break
            at = max(at, high)
        starts[value] = at
        end = max(end, at + sizes[value])
    regions = {value: _region(starts[value], shapes[value], need.get(value, (0, 0))) for value in born}
    for value in alias:
        regions[value] = _region(starts[owner(value)], shapes[value], (0, 0))
    return regions, end


def _as_shape(shape: tuple[int, ...]) -> Shape:
    return (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])


def _size(shape: Shape, padding: tuple[int, int]) -> int:
    (c, h, w), (py, px) = shape, padding
    return c * (h + 2 * py) * (w + 2 * px) + SLACK


def _region(start: int, shape: Shape, padding: tuple[int, int]) -> Region:
    (_, h, w), (py, px) = shape, padding
    row = w + 2 * px
    return Region(start + py * row + px, shape, (h + 2 * py) * row, row)


def _scratch_plane(layer: Layer, source: Region) -> int:
    """Positions of the scratch memory of one output, in either layout."""
    return conv_places(layer)[0] * layer.geometry.stride[0] * source.row + SLACK


def _scratch_of(layer: Layer, regions: dict[int, Region]) -> int:
    return ROWS * _scratch_plane(layer, regions[layer.inputs[0]]) if layer.kind == "conv" else 0


def _steps(layer: Layer, regions: dict[int, Region], scratch: int, arrays: Collected, path: Callable[[Layer], str]) -> list[Fields]:
    """The program's rows for one layer."""
    if layer.kind == "flatten":
        return []
    target, sources = regions[layer.output], [regions[value] for value in layer.inputs]
    source = sources[0]
    common = {
        "kind": KINDS.index(layer.kind) if layer.kind in KINDS else 0,
        "source": source.start,
        "source_plane": source.plane,
        "source_row": source.row,
        "target": target.start,
        "target_plane": target.plane,
        "target_row": target.row,
        "channels": layer.shapes[0][0],
        "outputs": layer.shape[0],
        "y": layer.shape[1],
        "x": layer.shape[2],
        "stride_y": layer.geometry.stride[0],
        "stride_x": layer.geometry.stride[1],
        "relu": int(layer.relu),
    }
    if layer.kind in ("conv", "linear"):
        return [common | _weighted(layer, source, scratch, arrays, path(layer))]
    if layer.kind in ("max_pool", "mean_pool"):
        return [common | {"window_y": layer.geometry.kernel[0], "window_x": layer.geometry.kernel[1]}]
    if layer.kind == "scale":
        if layer.weight is None or layer.bias is None:
            return [common | {"values_at": -1}]
        return [common | {"values_at": arrays.add("dense", layer.weight), "bias_at": arrays.add("biases", layer.bias)}]
    if layer.kind in ("add", "mul"):
        other, spread = sources[1], int(layer.shapes[1] != layer.shape)
        return [common | {"other": other.start, "other_plane": other.plane, "other_row": other.row, "spread": spread}]
    if layer.kind == "exp":
        return [common]
    if layer.kind == "inverse":
        assert layer.weight is not None, "an inverse has numerators"
        return [common | {"values_at": arrays.add("dense", layer.weight)}]
    if layer.kind in ("copy", "split"):
        start = source.start + layer.first * source.plane
        return [common | {"kind": KINDS.index("copy"), "source": start, "channels": layer.shape[0]}]
    rows, at = [], target.start  # concat: a copy for each part, one behind the other
    for part, shape in zip(sources, layer.shapes, strict=True):
        place = {"source": part.start, "source_plane": part.plane, "source_row": part.row, "target": at, "channels": shape[0]}
        rows.append(common | place | {"kind": KINDS.index("copy")})
        at += shape[0] * target.plane
    return rows


def _weighted(layer: Layer, source: Region, scratch: int, arrays: Collected, path: str) -> Fields:
    """What a convolution or Dense layer has beyond the others: its weights, and for a convolution its places."""
    assert layer.weight is not None, "convolutions and Dense layers have weights"
    offsets = _offsets(layer, source)
    bias = np.zeros(layer.shape[0], np.float32) if layer.bias is None else layer.bias
    fields = {"bias_at": arrays.add("biases", bias), "taps": offsets.size}
    if layer.kind == "conv":
        (y, x), (py, px) = conv_places(layer), layer.geometry.padding
        fields |= {"y": y, "x": x, "window_y": layer.window[0], "window_x": layer.window[1], "scratch": scratch}
        fields["source"] = source.start - py * source.row - px
    if path == "sparse":
        rows = CSR.from_dense(layer.weight, kept(layer))
        positions = offsets[rows.offsets]
        wide = bool(offsets.size) and int(offsets.max()) >= 1 << 16
        fields |= {"kind": KINDS.index(f"{'wide_' * wide}sparse_{layer.kind}"), "starts_at": arrays.add("starts", rows.start)}
        fields["values_at"] = arrays.add("wide" if wide else "narrow", rows.values)
        arrays.add("wide_offsets" if wide else "narrow_offsets", positions)
        return fields
    step = _scratch_plane(layer, source) if layer.kind == "conv" else 1
    fields["kind"] = KINDS.index(f"{path}_{layer.kind}")
    if path == "pattern":
        stored = Pattern.from_dense(layer.weight, kept(layer))
        groups = np.arange(stored.kept) // stored.keep * stored.of  # where the group of each kept weight begins
        fields |= {"keep": stored.keep, "of": stored.of, "kept": stored.kept}
        fields |= {"values_at": arrays.add("dense", stored.values), "positions_at": arrays.add("positions", stored.positions)}
        fields["taps_at"] = arrays.add("tables", offsets if layer.kind == "conv" else groups)
    else:
        fields |= {"values_at": arrays.add("dense", layer.weight), "taps_at": arrays.add("tables", offsets)}
    fields["planes_at"] = arrays.add("tables", np.arange(max(ROWS, layer.shape[0])) * step)
    return fields


def _offsets(layer: Layer, source: Region) -> Array:
    """The position of each tap of a filter, from where its corner lies."""
    assert layer.weight is not None
    if layer.kind == "linear":
        return np.arange(layer.weight.shape[1])
    _, c, r, s = layer.weight.shape
    channel, y, x = np.ogrid[:c, :r, :s]
    return (channel * source.plane + y * source.row + x).ravel()
