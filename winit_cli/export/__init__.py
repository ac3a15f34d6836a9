"""A run taken elsewhere: its initialization as Python code or weights, its tables, all of it for TensorBoard."""
