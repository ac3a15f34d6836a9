"""The one place that turns errors and signals into messages and exit codes."""

from __future__ import annotations

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn, ParamSpec

from winit_cli.errors import ConfigError, Terminated, WinitError

P = ParamSpec("P")


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """A command whose every end has an exit code: see ``winit_cli.errors``, 130 for Ctrl-C, 143 for SIGTERM."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        signal.signal(signal.SIGTERM, _terminate)
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except WinitError as error:
            _say(_text(error))
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            _say("interrupted; finished trials are kept, the same command goes on from there")
            raise SystemExit(130) from None
        except BrokenPipeError:
            _end_quietly()
        except OSError as error:
            _say(f"the system refused: {error}; what was recorded before is kept")
            raise SystemExit(1) from None
        except MemoryError:
            _say("out of memory; use fewer seeds at once, a smaller model or smaller batches")
            raise SystemExit(1) from None
        except Exception as error:
            if os.environ.get("WINIT_DEBUG"):
                traceback.print_exc()
            _say(f"internal error: {type(error).__name__}: {error} (WINIT_DEBUG=1 shows where)")
            raise SystemExit(1) from None

    return run


def _terminate(signum: int, frame: object) -> NoReturn:
    _say("terminated; finished trials are kept, the same command goes on from there")
    raise Terminated(143)


def _text(error: WinitError) -> str:
    if isinstance(error, ConfigError) and len(error.faults) > 1:
        return f"{len(error.faults)} faults in the config\n" + "\n".join(f"  {fault}" for fault in error.faults)
    return str(error)


def _say(text: str) -> None:
    """Characters that would steer the terminal (a config may hold them) are shown, not sent."""
    visible = "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)
    print(f"winit: {visible}", file=sys.stderr)


def _end_quietly() -> NoReturn:
    """The reader has gone (``winit … | head``): nothing more to say, and nothing at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(0)
