"""The hot operations on numba's kernels: arrays shaped as their readers know them, laid out as the kernels want them. See ``backend``."""
