"""The hot operations in NumPy: short enough to teach, and the twins that the kernels are tested against. See ``backend``."""
