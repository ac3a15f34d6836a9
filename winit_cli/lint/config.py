"""Rules about a config as a whole: what is compared, with how many seeds, at which learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterator

from winit_cli.claims.claim import Portion
from winit_cli.claims.reach import seeds_for_claims, seeds_for_share, share_can_be_supported
from winit_cli.findings import reach
from winit_cli.lint.filled import Filled
from winit_cli.lint.subject import Found, Label, Study
from winit_cli.resolved import resolved_config

FAR = 100.0  # ratio of two widths: two orders of magnitude


def relies_on_default(study: Study) -> Iterator[Found]:
    """The only label leaves all weights to PyTorch."""
    entries = study.plan.config.base.schemes
    if len(entries) > 1 or any(f.use.scheme != "pytorch_default" for label in study.labels for f in label.weights):
        return
    yield Found(
        study.labels,
        study.labels[0].path(),
        "the only label leaves all weights to PyTorch's default, of gain sqrt(1/3) whatever the activation; nothing is "
        "compared with it",
        "add schemes to compare, e.g. kaiming_normal for relu, xavier_normal for tanh",
    )


def few_seeds(study: Study) -> Iterator[Found]:
    """Seeds that can decide no comparison, or no claim."""
    found = reach(resolved_config(study.plan))
    needed = max(found.needed if found.family else 2, seeds_for_claims(found.claims) if found.claims else 0)
    if found.seeds < needed:
        one = "one seed says nothing of chance: no interval, no test; " if found.seeds == 1 else ""
        yield Found((), ("seeds",), f"{one}{found}", f"seeds: {needed}, or more", extent=needed)
    for claim in study.plan.config.claims:
        if isinstance(claim.statement, Portion):
            count = len(study.plan.config.claims)
            if not share_can_be_supported(claim.statement, found.seeds, count):
                needed = seeds_for_share(claim.statement, count)
                reason = f"with {found.seeds} seeds no share, however clear, supports {claim.text}"
                yield Found((), claim.given.path(), reason, f"seeds: {needed}, or more, or wider bounds", extent=needed)


def shared_lr(study: Study) -> Iterator[Found]:
    """One learning rate for labels whose weights differ by orders of magnitude."""
    for labels in study.by_variant:
        setting = labels[0].setting
        if len(setting.train.lr) > 1 or len(labels) < 2:
            continue
        ratio, narrow, wide, name = _widest(labels)
        if ratio >= FAR:
            yield Found(
                (narrow, wide),
                ("train", "lr"),
                f"{setting.train.lr[0]:g} is the only learning rate, while {name} differs {ratio:.3g}-fold in size: "
                "what suits one label need not suit the other",
                "train.lr: a list, and select: to choose each label's own rate on seeds of its own",
                "note",
                math.log(ratio),
            )


def _widest(labels: list[Label]) -> tuple[float, Label, Label, str]:
    """The largest ratio between two labels' sizes of one weight, those labels, and the weight."""
    best = (1.0, labels[0], labels[0], "")
    for slot in labels[0].setting.rehearsal.slots:
        sizes = [(_size(filled), label) for label in labels if (filled := label.by_name.get(slot.name))]
        there = [(size, label) for size, label in sizes if size > 0 and slot.kind != "bias"]
        if len(there) > 1:
            narrow, wide = min(there, key=lambda pair: pair[0]), max(there, key=lambda pair: pair[0])
            best = max(best, (wide[0] / narrow[0], narrow[1], wide[1], slot.name), key=lambda found: found[0])
    return best


def _size(filled: Filled) -> float:
    """Root mean square expected of a weight; 0 where nothing is expected."""
    moments = filled.moments
    return 0.0 if moments.std is None or moments.mean is None else math.hypot(moments.std, moments.mean)
