"""winit: compare weight-initialization schemes in PyTorch."""

__version__ = "0.1.0"
