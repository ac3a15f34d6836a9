"""A run taken elsewhere: its initialization as Python code or as weights, its tables as CSV files."""
