"""Work on a GPU that is asked for again and again, captured once as a CUDA graph and then replayed.

Launching a small kernel takes longer than running it; a graph launches all of its kernels at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

EAGER = 2  # times that work runs by itself: the first may set up memory, libraries and the state of an optimizer


class Replay:
    """Calls ``work``, which reads and writes the same memory each time and takes no decision by what is in it.

    On a processor, and where a GPU refuses to capture it, it is called each time; ``is_captured`` says which.
    """

    def __init__(self, work: Callable[[], None], device: str) -> None:
        self._work, self._device = work, torch.device(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._left = EAGER if self._device.type == "cuda" else -1

    @property
    def is_captured(self) -> bool:
        """Whether the next call replays a graph."""
        return self._graph is not None

    def __call__(self) -> None:
        if self._left == 0:
            self._capture()
        self._left -= 1
        if self._graph is None:
            self._work()
        else:
            self._graph.replay()

    def _capture(self) -> None:
        """Record the work, which does not run meanwhile."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.device(self._device), torch.cuda.graph(graph):
                self._work()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # an operation that waits for the GPU, or allocates beside torch
            torch.cuda.synchronize(self._device)
            return
        self._graph = graph
