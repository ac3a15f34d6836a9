"""From the entries of ``claims:`` to claims with everything settled, and what is wrong with them, all of it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from winit_cli.claims.claim import (
    OUTCOME,
    Claim,
    Comparison,
    Share,
    Statement,
    Term,
    settled,
    single,
    terms_of,
    values_of,
)
from winit_cli.claims.draft import Draft
from winit_cli.claims.entry import Entry, Given, Place
from winit_cli.claims.grammar import parse, parse_metric
from winit_cli.claims.keys import canonical, listed, no_such_rate, read_keys
from winit_cli.claims.metrics import METRICS
from winit_cli.claims.scan import ClaimError
from winit_cli.errors import known

Faults = list[tuple[Place, str]]


@dataclass(frozen=True)
class Known:
    """What claims are about: all labels (with what ``vary:`` adds), the learning rates (none: not known), whether
    ``select:`` chooses one of them, whether there is a validation part (``None``: not known)."""

    labels: Sequence[str]
    rates: Sequence[float]
    selects: bool = False
    has_val: bool | None = None


def check(given: Sequence[Given], about: Known) -> tuple[tuple[Claim, ...], Faults]:
    """The claims without a fault, and all faults, each with the path of the value at fault."""
    claims: list[Claim] = []
    faults: Faults = []
    for one in given:
        reader = _Reader(one, about)
        claim = reader.claim()
        faults += reader.faults
        if claim is None:
            continue
        twin = next((other.given.index for other in claims if other.statement == claim.statement), None)
        if twin is not None:
            faults.append((one.path(), f"says the same as claims.{twin}; remove one of them"))
        claims.append(claim)
    return tuple(claims), faults


def stored_claims(config: Mapping[str, Any], labels: Sequence[str]) -> tuple[Claim, ...]:
    """The claims in the resolved config of a run; one of an older version has none."""
    given = [Given(index, Entry(**entry)) for index, entry in enumerate(config.get("claims") or [])]
    return check(given, Known(labels, config["train"]["lr"], selects=bool(config.get("select"))))[0]


@dataclass
class _Reader:
    """Reads one entry, and notes what is wrong with it."""

    given: Given
    about: Known
    faults: Faults = field(default_factory=list)

    def claim(self) -> Claim | None:
        """The claim, ``None`` where there are faults."""
        fallback, lr = self._metric_of_claim(), self.given.entry.lr
        if lr is not None and self.about.rates and lr not in self.about.rates:
            self.faults.append((self.given.path("lr"), no_such_rate(lr, self.about.rates)))
        try:
            statement = parse(self.given.entry.expect, self.about.labels)
        except ClaimError as error:
            self._note(error)
            return None
        drafts = terms_of(statement)
        read = self._outcome if isinstance(single(statement), Share) else self._term
        terms = {draft: read(draft, _named(draft, drafts, fallback)) for draft in drafts}
        found = settled(statement, terms.__getitem__)
        if not self.faults and _compares_with_itself(found):
            self._note("compares a value with itself; compare two that may differ")
        rates = self.about.rates
        metric = "; ".join(dict.fromkeys(canonical(t.metric, t.keys, t.lr, rates) for t in terms_of(found)))
        return None if self.faults else Claim(self.given, found, metric)

    def _metric_of_claim(self) -> Draft | None:
        """What ``metric:`` says."""
        if self.given.entry.metric is None:
            return None
        try:
            draft = parse_metric(self.given.entry.metric)
        except ClaimError as error:
            self._note(error, "metric")
            return None
        for fault in read_keys(draft.keys, METRICS[str(draft.metric)], self.about.rates)[1]:
            self._note(fault, "metric")
        return draft

    def _outcome(self, draft: Draft, _: Draft | None) -> Term:
        keys, faults = read_keys(draft.keys, None, self.about.rates)
        for fault in faults:
            self._note(fault)
        return Term(draft.label, OUTCOME, {}, self._rate(draft, keys), draft.at)

    def _term(self, draft: Draft, named: Draft | None) -> Term:
        """A draft with the metric that it or another one names."""
        if named is None or named.metric is None:
            if self.given.entry.metric is None and not self.faults:
                cure = f"write one behind it or give the claim metric: final_train_loss; {known('', METRICS)}"
                self._note(ClaimError(draft.at, f"'{draft.label}' has no metric; {cure}"))
            return Term(draft.label, "", {}, None, draft.at)
        metric = METRICS[named.metric]
        # what is wrong with keys that are taken over is said where they stand
        taken = {} if named is draft else read_keys(named.keys, metric, self.about.rates)[0]
        own, faults = read_keys(draft.keys, metric, self.about.rates)
        for fault in faults:
            self._note(fault)
        keys = {**metric.keys, **taken, **own}
        rate = self._rate(draft, keys)
        missing = [key for key, value in keys.items() if value is None]
        if missing and not self.faults:
            self._note(ClaimError(draft.at, f"{metric.name} needs {' and '.join(missing)}, e.g. {metric.example}"))
        if metric.part == "val" and self.about.has_val is False:
            self._note(ClaimError(draft.at, f"{metric.name} needs a validation part; set data.val_size"))
        return Term(draft.label, metric.name, keys, rate, draft.at)

    def _rate(self, draft: Draft, keys: dict[str, Any]) -> float | None:
        """The learning rate of a term, taken out of its keys."""
        rates, rate = self.about.rates, keys.pop("lr", self.given.entry.lr)
        if rate is None and len(rates) > 1 and not self.about.selects and not self.faults:
            self._note(ClaimError(draft.at, f"at which learning rate? give the claim lr:, one of {listed(rates)}"))
        return rates[0] if rate is None and len(rates) == 1 else rate

    def _note(self, fault: ClaimError | str, key: str = "expect") -> None:
        self.faults.append((self.given.path(key), str(fault)))


def _named(draft: Draft, drafts: Sequence[Draft], fallback: Draft | None) -> Draft | None:
    """The draft whose metric a draft has: its own, the last before it, the first after it, that of the claim."""
    place = drafts.index(draft)
    order = [draft, *reversed(drafts[:place]), *drafts[place + 1 :]]
    return next((other for other in order if other.metric is not None), fallback)


def _compares_with_itself(statement: Statement[Term]) -> bool:
    values, statement = values_of(statement), single(statement)
    if any(value.operator and value.terms[0] == value.terms[1] for value in values):
        return True
    return isinstance(statement, Comparison) and len(values) == 2 and values[0] == values[1]
