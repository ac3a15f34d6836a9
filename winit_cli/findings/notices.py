"""What a reader must know before trusting the numbers: parts missing, copied, or added after a look."""

from __future__ import annotations

from typing import Any

from pandas import DataFrame

from winit_cli.findings.numbers import counted
from winit_cli.stats import COUNTED
from winit_cli.store.frames import RunFrames


def notices(run: RunFrames) -> list[str]:
    """Warnings and remarks in the order of their weight."""
    found = [_partial(run.status), _unlike_promised(run), halved(run), *_copied(run.trials)]
    return [text for text in found if text]


def _partial(status: dict[str, Any]) -> str:
    counts = status.get("trials", {})
    missing = counts.get("pending", 0) + counts.get("failed", 0)
    if status.get("state") == "complete" and not missing:
        return ""
    state = status.get("state", "unknown")
    listed = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    cure = "it is still going on, or else the same command completes it"
    return (
        f"This run is not whole: its state is {state} ({listed or 'no trials'}). Every number here is over the trials "
        f"that finished; {cure if state == 'running' else 'run the same command again to complete it'}."
    )


def _unlike_promised(run: RunFrames) -> str:
    """What is said of starting values that are not what their scheme promises."""
    if not run.warnings:
        return ""
    trial, (_, first, *_) = next(iter(run.warnings.items()))
    many = counted(len(run.warnings), "trial")
    labels = ", ".join(dict.fromkeys(label for label, *_ in run.warnings.values()))
    return (
        f"Some parameters did not start as their scheme promises ({many} of {labels}): in "
        f"{trial} {first}. init.csv has all measured numbers."
    )


def halved(run: RunFrames) -> str:
    """What is said of stacks that ran out of memory."""
    if not run.halved:
        return ""
    listed = ", then ".join(run.halved)
    return (
        f"On the way {listed}. A stack of another size may change the last digits, so a fresh run need not give the "
        "same bytes; with a smaller --memory it would not have to be divided on the way."
    )


def _copied(trials: DataFrame) -> list[str]:
    finished = trials[trials["status"].isin(COUNTED)]
    copied = finished[finished["copied_from"].notna() & (finished["copied_from"] != "")]
    if copied.empty:
        return []
    counts = copied["copied_from"].value_counts(sort=False)
    sources = ", ".join(f"{count} from {source}" for source, count in counts.items())
    texts = [f"{len(copied)} of {len(finished)} trials were not trained here but copied: {sources}."]
    origins = finished.assign(origin=finished["copied_from"].fillna(""))
    if (origins.groupby(["label", "lr"], sort=False)["origin"].nunique() > 1).any():
        texts.append(
            "Seeds were added to an earlier run of the same comparison. Whoever looked at it first and added seeds "
            "until the answer pleased has intervals that are too narrow: fix the number of seeds before looking."
        )
    return texts
