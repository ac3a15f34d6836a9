"""What ``import winit_cli as winit`` offers to Python programs and notebooks."""
