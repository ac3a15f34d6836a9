"""What a scheme does, as facts: in general, and in numbers for one layer and activation. ``winit explain`` prints them.

Everything is derived from the scheme's row in ``winit_cli.schemes``: a row with ``moments`` and ``torch_call`` has its
numbers, its signal theory and its code for every kind of layer.
"""
