"""What claims ask for and a plan does not measure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_claims_grammar import claim

from winit_cli.claims.fits import Measured, unmeasured

MEASURED = Measured(
    parameters=["layers.0.weight", "head.weight"],
    layers=["layers.0", "head"],
    steps=103,
    every=5,
    test_every=50,
    has_val=False,
    has_accuracy=False,
    has_widths=True,
)
UNMEASURED = {
    "zeros grad_norm[param=layers.0.wieght] < 1": "the model has no parameter layers.0.wieght with a gradient; "
    "did you mean 'layers.0.weight'? (known: layers.0.weight, head.weight)",
    "zeros grad_norm[param=head.weight,step=7] < 1": "step 7 is not measured, but 5 and 10 are; change it",
    "zeros layer_gain[layer=hed] > 1": "the model has no layer hed; did you mean 'head'? (known: layers.0, head)",
    "zeros train_loss[step=104] < 1": "step 104 comes after the last, which is 103",
    "zeros train_loss[step=102] < 1": "step 102 is not measured, but 100 and 103 are",
    "zeros test_loss[step=5] < 1": "step 5 is not measured, but 0 and 50 are; change it or measure.test_every (50)",
    "zeros width_slope[layer=head,step=9] < 1": "width_slope is measured after 1 to 5 steps, not after 9",
    "zeros val_loss[step=0] < 1": "val_loss needs a validation part; set data.val_size",
    "zeros final_test_accuracy < 1": "there is no accuracy here, only for classification; write final_test_loss",
}


@pytest.mark.parametrize(("text", "message"), UNMEASURED.items())
def test_what_a_plan_does_not_measure(text: str, message: str) -> None:
    ((path, found),) = unmeasured([claim(text)], ["zeros"], MEASURED)
    assert path == ("claims", 0, "expect") and message in found
    assert list(unmeasured([claim(text)], ["normal"], MEASURED)) == []


def test_what_a_plan_measures() -> None:
    for text in (
        "train_loss[step=103]",
        "test_loss[step=50]",
        "test_loss[step=103]",
        "grad_norm[param=head.weight]",
        "loss_area",
    ):
        assert list(unmeasured([claim(f"zeros {text} < 1"), claim("zeros stuck")], ["zeros"], MEASURED)) == []
    both = "zeros grad_norm[param=x,step=1] / normal < 1"
    assert len(list(unmeasured([claim(both)], ["zeros", "normal"], MEASURED))) == 2, "each fault once"


def test_slopes_over_widths_need_widths() -> None:
    asked = claim("zeros width_slope[layer=head] < 1")
    assert list(unmeasured([asked], ["zeros"], MEASURED)) == []
    ((_, found),) = unmeasured([asked], ["zeros"], replace(MEASURED, has_widths=False))
    assert "width_slope needs networks of several widths; set measure.widths: [512, 1024, 2048, 4096]" in found
