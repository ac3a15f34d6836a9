"""Where winit keeps what can be made or fetched again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_dir() -> Path:
    """The user's cache directory for winit; it need not exist.

    ``$WINIT_CACHE``, else ``$XDG_CACHE_HOME/winit``, else ``~/.cache/winit``.
    """
    if chosen := os.environ.get("WINIT_CACHE"):
        return Path(chosen)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "winit"
    try:
        return Path.home() / ".cache" / "winit"
    except RuntimeError:  # a user without a home directory, as in some containers
        return Path(tempfile.gettempdir()) / "winit"
