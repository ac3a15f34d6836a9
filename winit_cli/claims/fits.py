"""What the claims ask for and a plan does not measure, known once model and data are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from winit_cli.claims.claim import Claim, Term
from winit_cli.claims.entry import Place
from winit_cli.claims.metrics import METRICS, WIDTH_STEPS, Metric
from winit_cli.claims.scan import ClaimError
from winit_cli.errors import known


@dataclass(frozen=True)
class Measured:
    """What is measured of some labels: gradients of ``parameters``, ``layers`` before training, the training batch
    ``every`` so many steps, the other parts every ``test_every``, all of it also at the last step; and why there is no
    Jacobian of some layers."""

    parameters: Sequence[str]
    layers: Sequence[str]
    steps: int
    every: int
    test_every: int
    has_val: bool
    has_accuracy: bool
    has_widths: bool = False
    without_jacobian: Mapping[str, str] = field(default_factory=dict)


def asks_for_probe(claims: Iterable[Claim]) -> bool:
    """Whether claims are about what is measured before training, which is then measured of every seed."""
    terms = (term for claim in claims for term in claim.terms)
    return any(METRICS[term.metric].table == "probe" for term in terms if term.metric in METRICS)


def unmeasured(claims: Iterable[Claim], labels: Iterable[str], measured: Measured) -> Iterator[tuple[Place, str]]:
    """What the terms of some labels ask for and is not measured, with the path of the claim."""
    mine = set(labels)
    for claim in claims:
        said: dict[str, int] = {}
        for term in claim.terms:
            if term.label in mine and term.metric in METRICS:
                for message in _wrong(term, METRICS[term.metric], measured):
                    said.setdefault(message, term.at)
        yield from ((claim.given.path(), str(ClaimError(at, message))) for message, at in said.items())


def _wrong(term: Term, metric: Metric, measured: Measured) -> Iterator[str]:
    if metric.is_accuracy and not measured.has_accuracy:
        yield f"there is no accuracy here, only for classification; write {metric.name.replace('accuracy', 'loss')}"
    if metric.part == "val" and not measured.has_val:
        yield f"{metric.name} needs a validation part; set data.val_size"
    if "param" in term.keys and term.keys["param"] not in measured.parameters:
        name = str(term.keys["param"])
        yield f"the model has no parameter {name} with a gradient; {known(name, measured.parameters)}"
    if "layer" in term.keys and term.keys["layer"] not in measured.layers:
        name = str(term.keys["layer"])
        yield f"the model has no layer {name}; {known(name, measured.layers)}"
    elif term.metric == "layer_jacobian_sv_mean" and (why := measured.without_jacobian.get(str(term.keys["layer"]))):
        yield f"{metric.name} is not measured of {term.keys['layer']}: {why}"
    if metric.table == "probe" and "step" in term.keys:
        if not measured.has_widths:
            yield f"{metric.name} needs networks of several widths; set measure.widths: [512, 1024, 2048, 4096]"
        if not 1 <= int(term.keys["step"]) <= WIDTH_STEPS:
            yield f"{metric.name} is measured after 1 to {WIDTH_STEPS} steps, not after {term.keys['step']}"
    elif "step" in term.keys:
        name, every = ("every", measured.every) if metric.part == "train" else ("test_every", measured.test_every)
        yield from _wrong_step(int(term.keys["step"]), measured.steps, every, f"measure.{name}")


def _wrong_step(step: int, steps: int, every: int, option: str) -> Iterator[str]:
    if step > steps:
        yield f"step {step} comes after the last, which is {steps}"
    elif step % every and step != steps:
        before, after = step - step % every, min(steps, step - step % every + every)
        yield f"step {step} is not measured, but {before} and {after} are; change it or {option} ({every})"
