"""Normalization layers by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

Norm = Literal["none", "batch", "layer"]


def norm_of_features(norm: Norm, features: int) -> nn.Module:
    """For (B, features); layer norm is over the features of an example."""
    if norm == "layer":
        return nn.LayerNorm(features)
    return nn.BatchNorm1d(features) if norm == "batch" else nn.Identity()


def norm_of_channels(norm: Norm, channels: int) -> nn.Module:
    """For (B, channels, height, width); layer norm is over all channels and pixels of an example."""
    if norm == "layer":
        return nn.GroupNorm(1, channels)
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity()
