"""How results are decided, in sentences; and before training, whether these seeds can decide anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from winit_cli.claims.grammar import is_share
from winit_cli.claims.reach import seeds_for_claims
from winit_cli.findings.numbers import counted, number
from winit_cli.stats import SIGNIFICANT, Rules, family_size, seeds_for_a_verdict, smallest_p

# what an interval of ranks means beside a verdict
OPEN_PLACES = (
    "places that these seeds leave open, for all labels at once; a verdict is about one label and the baseline alone, "
    "so that a label can be worse than the baseline and have many places open"
)


@dataclass(frozen=True)
class Reach:
    """What so many seeds can decide in a family of so many comparisons, and of ``claims`` that are not about shares."""

    seeds: int
    family: int
    baseline: str
    kind: str
    claims: int = 0
    has_shares: bool = False

    @property
    def smallest(self) -> float:
        """The smallest p after Holm's correction that an exact test can give."""
        return smallest_p(self.seeds, self.family)

    @property
    def needed(self) -> int:
        """The fewest seeds that can give a verdict."""
        return seeds_for_a_verdict(self.family)

    @property
    def is_enough(self) -> bool:
        """Whether some verdict is possible."""
        return self.family == 0 or self.smallest < SIGNIFICANT

    @property
    def comparisons(self) -> str:
        """``9 comparisons with pytorch_default``."""
        count = counted(self.family, "comparison")
        return f"{count} of all pairs" if self.kind == "all" else f"{count} with {self.baseline}"

    def __str__(self) -> str:
        return "; ".join(filter(None, (self._comparing(), self._claiming())))

    def _claiming(self) -> str:
        """That claims need more seeds, where they do; of those about shares each takes a number of its own."""
        needed = seeds_for_claims(self.claims) if self.claims else 0
        which = "no claim but those about shares" if self.has_shares else "no claim"
        return f"{which} can be decided with less than {counted(needed, 'seed')}" if self.seeds < needed else ""

    def _comparing(self) -> str:
        if self.family == 0:
            return "there is nothing to compare: one label"
        seeds = counted(self.seeds, "seed")
        smallest = f"the smallest p after Holm's correction is {number(self.smallest)}"
        if self.is_enough:
            return f"{self.comparisons}: with {seeds} {smallest}; {self.needed} seeds or more can give a verdict"
        few = f"no better or worse is possible with {seeds} ({smallest})"
        return f"{self.comparisons}: {few}; at least {self.needed} are needed"


def reach(config: Mapping[str, Any]) -> Reach:
    """What a resolved config can decide about one metric of one variant, at selected rates where it selects them."""
    rates = 1 if config.get("select") else len(config["train"]["lr"])
    kind = config.get("family", "baseline")
    family = family_size(len(config["schemes"]), rates, kind)
    of_shares = [is_share(claim["expect"]) for claim in config.get("claims") or []]
    others = of_shares.count(False)
    return Reach(len(config["seeds"]), family, config["baseline"], kind, others, has_shares=any(of_shares))


def method(config: Mapping[str, Any], rules: Rules, targets: Mapping[str, float]) -> list[str]:
    """Sentences for a reader who wants to know what the numbers mean."""
    return list(_sentences(config, rules, targets))


def _sentences(config: Mapping[str, Any], rules: Rules, targets: Mapping[str, float]) -> Iterator[str]:
    found = reach(config)
    yield (
        "Trials are paired by seed: at one seed every label sees the same batches in the same order. Means have 95 % "
        "Student-t intervals over the seeds."
    )
    yield (
        "A comparison is the exact two-sided sign-flip permutation test of the paired differences (beyond 16 seeds "
        "100,000 seeded draws of it), with Holm's correction over its family: all comparisons of one metric"
        f"{' within one varied value' if config.get('vary') else ''}. Here: {found}."
    )
    yield (
        f"Labels are called tied where all pairs are equal{_margin(rules)}; otherwise better or worse where the "
        "corrected p is below 0.05; everything else is undecided, with the number of seeds that would decide it with "
        "probability 0.8 if the difference and its spread are what they seem."
    )
    yield (
        "A trial that diverged is never dropped: it ranks as the worst value seen, and a comparison with one is the "
        "exact sign test, in which it loses. Means over the trials that are left are marked."
    )
    yield (
        "The interval of a rank leaves out places that paired t-tests over six seeds or more, Holm-corrected over all "
        "pairs, rule out; all rank intervals hold at once with 95 % confidence."
    )
    if config.get("select"):
        seeds, metric = config["select"]["seeds"], config["select"]["metric"]
        yield (
            f"Learning rates are selected for each label by the mean {metric} over {len(seeds)} seeds of their own, "
            "and compared over the experiment's seeds, so that picking the best is no advantage. Comparisons at fixed "
            "rates are a family apart."
        )
    elif len(config["train"]["lr"]) > 1:
        yield (
            "The best learning rates are picked on the same seeds that show them, which flatters them a little; "
            "select: chooses them on seeds of its own."
        )
    if targets:
        said = ", ".join(f"{number(value)}{f' at {variant}' if variant else ''}" for variant, value in targets.items())
        origin = "as given" if config.get("target") is not None else f"the median that {config['baseline']} ends with"
        yield f"Steps to target: updates until the test part first reaches {said} ({origin}); a miss is infinite."


def _margin(rules: Rules) -> str:
    margins = {metric: value for metric, value in rules.margins.items() if value}
    if not margins:
        return ""
    if len(set(margins.values())) == 1 and len(margins) > 1:
        return f" or the interval of the difference lies within ±{number(next(iter(margins.values())))}"
    said = ", ".join(f"±{number(value)} of {metric}" for metric, value in margins.items())
    return f" or the interval of the difference lies within {said}"
