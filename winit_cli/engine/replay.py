"""Work on a GPU that is asked for again and again, captured once as a CUDA graph and then replayed.

Launching a small kernel takes longer than running it; a graph launches all of its kernels at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

EAGER = 2  # times that work runs by itself: the first may set up memory, libraries and the state of an optimizer


class Replay:
    """Calls the same work again and again, which reads and writes the same memory each time and takes no decision by
    what is in it.

    On a processor, and where a GPU refuses to capture it, it is called each time; ``is_captured`` says which.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._left = EAGER if self._device.type == "cuda" else -1

    @property
    def is_captured(self) -> bool:
        """Whether the next call replays a graph."""
        return self._graph is not None

    def __call__(self, work: Callable[[], None]) -> None:
        if self._left == 0:
            self._graph = self._captured(work)
        self._left -= 1
        if self._graph is None:
            work()
        else:
            self._graph.replay()

    def _captured(self, work: Callable[[], None]) -> torch.cuda.CUDAGraph | None:
        """The graph of some work, which does not run meanwhile; ``None`` where an operation waits for the GPU."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.device(self._device), torch.cuda.graph(graph):
                work()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            torch.cuda.synchronize(self._device)
            return None
        return graph
