"""Statistics over seeds: data frames in, data frames out, scipy for distributions.

Trials are paired by seed, since one seed gives every label the same batches.
"""

from winit_cli.stats.comparisons import MARGIN, Rules, comparisons, family_size
from winit_cli.stats.frames import (
    COUNTED,
    METRICS,
    SELECTED,
    Floats,
    at_selected,
    by_variant,
    groups,
    headline,
    measured,
    numbers_of,
    sign_of,
    split_label,
    varied_model,
)
from winit_cli.stats.intervals import iqm, iqm_interval, mean, mean_interval, sd, wilson_interval
from winit_cli.stats.layers import layer_means, width_slopes
from winit_cli.stats.learning import derived_targets, learning, with_learning
from winit_cli.stats.power import seeds_for_a_verdict, seeds_needed, seeds_needed_by_signs, smallest_p
from winit_cli.stats.ranks import places, ranks
from winit_cli.stats.rates import best_rates
from winit_cli.stats.summary import MOMENTS, moments, summarize
from winit_cli.stats.tests import SIGNIFICANT, holm, share_p, sign_flip_p, sign_flip_ps, sign_test_p

__all__ = [
    "COUNTED",
    "MARGIN",
    "METRICS",
    "MOMENTS",
    "SELECTED",
    "SIGNIFICANT",
    "Floats",
    "Rules",
    "at_selected",
    "best_rates",
    "by_variant",
    "comparisons",
    "derived_targets",
    "family_size",
    "groups",
    "headline",
    "holm",
    "iqm",
    "iqm_interval",
    "layer_means",
    "learning",
    "mean",
    "mean_interval",
    "measured",
    "moments",
    "numbers_of",
    "places",
    "ranks",
    "sd",
    "seeds_for_a_verdict",
    "seeds_needed",
    "seeds_needed_by_signs",
    "share_p",
    "sign_flip_p",
    "sign_flip_ps",
    "sign_of",
    "sign_test_p",
    "smallest_p",
    "split_label",
    "summarize",
    "varied_model",
    "width_slopes",
    "wilson_interval",
    "with_learning",
]
