"""A run on a Ray cluster: its workers stand on other machines, and this process alone writes the store.

Nothing here is imported without ``--on``, and Ray only in the functions that need it: it is an optional extra.
"""
