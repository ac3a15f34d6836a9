"""The one place that turns errors and signals into messages and exit codes."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn, ParamSpec

from winit_cli.cli.streams import for_people
from winit_cli.errors import ConfigError, Terminated, WinitError
from winit_cli.visible import visible

P = ParamSpec("P")
KEPT = "what was recorded is kept, and the same command goes on from there"


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """A command whose every end has an exit code: see ``winit_cli.errors``, 130 for Ctrl-C, 143 for SIGTERM."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        _end_in_order()
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except WinitError as error:
            _say(_text(error))
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            _say(f"interrupted; {KEPT}")
            raise SystemExit(130) from None
        except Terminated as error:
            _say(f"terminated; {KEPT}")
            raise SystemExit(error.code) from None
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


def _end_in_order() -> None:
    """Let SIGTERM, and a terminal that goes away, end a command as errors do; ``nohup`` ignores the second."""
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _terminate)


def _terminate(signum: int, frame: object) -> NoReturn:
    raise Terminated(128 + signum)


def _text(error: WinitError) -> str:
    if isinstance(error, ConfigError) and len(error.faults) > 1:
        return f"{len(error.faults)} faults in the config\n" + "\n".join(f"  {fault}" for fault in error.faults)
    return str(error)


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody listens any more
        print(for_people(f"winit: {visible(text)}", sys.stderr), file=sys.stderr, flush=True)
