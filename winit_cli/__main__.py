"""``python -m winit_cli``."""

from winit_cli.cli import main

main()
