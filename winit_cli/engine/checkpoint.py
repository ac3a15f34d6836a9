"""What continues a trial to the same bits: weights, buffers and optimizer state, as plain arrays.

The position in the data order is the step alone, since a trial's order and all that a user's code draws are keyed
by seed and step. Nothing here executes on loading.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from winit_cli.engine.records import Checkpoint, Packed

BEFORE = "loss at step 0"
STATEFUL = (types.FunctionType, types.BuiltinFunctionType, type, types.ModuleType, nn.Module, nn.Parameter)


class TrialState:
    """The state of a trial that is being trained.

    A user's own module may keep more than tensors (a counter in an attribute, say). ``watched`` are the objects whose
    attributes are compared with what they were at the start: once they differ, or cannot be compared, the trial has no
    checkpoint and starts over after an interruption.
    """

    def __init__(
        self,
        model: nn.Module,
        trained: Sequence[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        watched: Sequence[object] = (),
    ) -> None:
        self.model, self.trained, self.optimizer, self.watched = model, trained, optimizer, watched
        self._attributes = attributes(watched)

    def take(self, step: int, before: Tensor) -> Checkpoint | None:
        """The checkpoint after ``step`` updates; ``None`` where tensors do not hold all of the state."""
        tensors = dict(self._tensors()) | {BEFORE: before}
        if not all(map(_is_plain, tensors.values())):
            return None
        if self.watched and (self._attributes is None or attributes(self.watched) != self._attributes):
            return None
        return Checkpoint(step, [pack(name, tensor) for name, tensor in tensors.items()])

    def restore(self, checkpoint: Checkpoint) -> Tensor:
        """Go on from a checkpoint; returns the loss at step 0."""
        tensors = {packed.name: unpack(packed) for packed in checkpoint.arrays}
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors[f"parameter {name}"])
        for name, buffer in self.model.named_buffers():
            _restore_buffer(self.model, name, buffer, tensors[f"buffer {name}"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(" ")
            if kind == "optimizer":
                index, _, key = rest.partition(" ")
                state.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
        return tensors[BEFORE].to(self.trained[0].device if self.trained else "cpu")

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.model.named_parameters():
            yield f"parameter {name}", parameter.detach()
        for name, buffer in self.model.named_buffers():
            yield f"buffer {name}", buffer.detach()
        for index, parameter in enumerate(self.trained):
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if value is not None:  # SGD notes the absence of a momentum buffer
                    yield f"optimizer {index} {key}", value


def pack(name: str, tensor: Tensor) -> Packed:
    """A tensor of any layout in memory as its bytes in row-major order."""
    values = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return Packed(name, str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), tensor.stride(), values)


def unpack(packed: Packed) -> Tensor:
    """The tensor with the layout that it had: kernels may round differently by layout."""
    dtype = getattr(torch, packed.dtype)
    flat = torch.frombuffer(bytearray(packed.data), dtype=dtype) if packed.data else torch.empty(0, dtype=dtype)
    return torch.empty_strided(packed.shape, packed.strides, dtype=dtype).copy_(flat.view(packed.shape))


def attributes(objects: Sequence[object]) -> bytes | None:
    """A fingerprint of what Python attributes hold, tensors by their bytes; ``None`` where something has none."""
    found: list[Any] = []
    for thing in objects:
        for module in thing.modules() if isinstance(thing, nn.Module) else [thing]:
            kept = {key: value for key, value in _vars(module).items() if key not in ("_buffers", "_modules")}
            kept["_parameters"] = [p is not None and p.requires_grad for p in kept.get("_parameters", {}).values()]
            found.append(kept)
    text = io.BytesIO()
    try:
        _Fingerprint(text, protocol=5).dump(found)
    except Exception:  # a lock, an open file, a generator that is half used: whatever refuses to be written
        return None
    return hashlib.sha256(text.getvalue()).digest()


class _Fingerprint(pickle.Pickler):
    """Writes values and never reads them back; code and modules count by who they are, tensors by their bytes."""

    def persistent_id(self, thing: Any) -> Any:
        if isinstance(thing, STATEFUL):
            return id(thing)
        if isinstance(thing, Tensor):
            return pack("", thing)
        return None


def _vars(thing: object) -> Mapping[str, Any]:
    return getattr(thing, "__dict__", {})


def _is_plain(tensor: Any) -> bool:
    """Whether bytes and strides are all there is to a tensor, each element in a place of its own."""
    return (
        isinstance(tensor, Tensor)
        and tensor.layout is torch.strided
        and not tensor.is_quantized
        and (tensor.numel() < 2 or 0 not in [s for s, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1])
    )


def _restore_buffer(model: nn.Module, name: str, buffer: Tensor, value: Tensor) -> None:
    """In place, as others may share it; a buffer that has another shape or type by then is replaced."""
    if (buffer.shape, buffer.dtype) == (value.shape, value.dtype):
        buffer.detach().copy_(value)
        return
    owner, _, key = name.rpartition(".")
    setattr(model.get_submodule(owner), key, value.to(buffer.device))
