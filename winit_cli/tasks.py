"""What follows from the kind of data alone."""

from __future__ import annotations


def default_loss(task: str) -> str:
    """The loss of a task's data where none is named."""
    return {"classification": "cross_entropy", "regression": "mse"}[task]
