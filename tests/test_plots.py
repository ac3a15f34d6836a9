"""Every figure, over runs that stress it: the tests run over each row of PLOTS."""

import dataclasses
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from frames import TWELVE, make_run
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from winit_cli.errors import StorageError
from winit_cli.plots import PLOTS, encode, save
from winit_cli.plots.gradient_heatmap import matrix
from winit_cli.plots.logscale import LogScale, tick_text, ticks
from winit_cli.plots.signal_plots import SIGNAL_PLOTS
from winit_cli.plots.style import COLORS, looks, named, short
from winit_cli.plots.units import mosaic
from winit_cli.store.frames import RunFrames

VARIANTS = [f"{scheme}@depth={depth}" for depth in (10, 22, 30) for scheme in TWELVE[:2] + TWELVE[8:10]]
LONG = [f"{'a-label-of-sixty-four-characters' * 2}"[:62] + f"{index:02d}" for index in range(3)]
RUNS = {
    "small": {},
    "twelve": {"labels": TWELVE, "seeds": 5, "layers": 31},
    "rates": {"labels": ["kaiming_normal", "zeros"], "lrs": (0.05, 0.1)},
    "variants": {"labels": VARIANTS, "seeds": 2},
    "long": {"labels": LONG, "seeds": 1},
    "regression": {"task": "regression", "length": 20},
    "diverged": {"labels": ["ones"], "seeds": 2},
    "zeros": {"labels": ["zeros"]},
}
MANY = {"labels": [f"scheme_{index}" for index in range(45)], "seeds": 1, "layers": 2, "length": 5}
SOMETIMES = {"final_metric_leaders"}  # drawn only where leaders crowd in a corner
OF_PROBES = {plot.name for plot in SIGNAL_PLOTS}  # tested with runs of their own
every_plot = pytest.mark.parametrize(
    "plot", [plot for plot in PLOTS if plot.name not in OF_PROBES], ids=lambda plot: plot.name
)


@cache
def run_of(name: str) -> RunFrames:
    return crowded() if name == "crowded" else make_run(Path("run"), **(MANY if name == "many" else RUNS[name]))


def crowded() -> RunFrames:
    """Two labels that end close together and one far below them."""
    run = make_run(Path("run"), ["near", "nearer", "far"], seeds=3)
    accuracy = [0.900, 0.905, 0.910, 0.920, 0.925, 0.930, 0.1, 0.1, 0.1]
    finished = run.trials.assign(status="ok", outcome="learned", diverged_step=None, final_test_accuracy=accuracy)
    return dataclasses.replace(run, trials=finished)


def figure_of(name: str, run: RunFrames) -> Figure:
    figure = next(plot for plot in PLOTS if plot.name == name).draw(run)
    assert figure is not None
    return figure


@every_plot
@pytest.mark.parametrize("name", RUNS)
def test_a_figure_can_be_laid_out(plot, name):
    figure = plot.draw(run_of(name))
    if figure is None:
        empty = {("accuracy", "regression"), ("final_metric", "diverged")}
        assert plot.name in SOMETIMES or (plot.name, name) in empty
        return
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    assert width <= 13
    assert height * 150 < 2**16


@every_plot
def test_more_than_forty_labels_do_not_crash(plot):
    figure = plot.draw(run_of("many"))
    assert figure is not None or plot.name in SOMETIMES
    if figure is not None:
        figure.draw_without_rendering()


@every_plot
def test_nothing_measured_is_no_figure(plot):
    run = run_of("small")
    pending = run.trials.assign(status="pending", final_test_loss=None, final_test_accuracy=None)
    tables = {name: getattr(run, name).iloc[:0] for name in ("curves", "gradients", "init", "units")}
    assert plot.draw(dataclasses.replace(run, trials=pending, **tables)) is None


@every_plot
def test_the_same_run_gives_the_same_bytes(plot):
    first, second = (plot.draw(run_of("crowded")) for _ in range(2))
    for kind in ("png", "svg"):
        assert encode(first, kind) == encode(second, kind)


@every_plot
def test_rows_say_how_to_read_the_figure(plot):
    assert plot.name.isidentifier()
    assert plot.title
    assert len(plot.caption) > 80


def test_names_are_unique():
    assert len({plot.name for plot in PLOTS}) == len(PLOTS)


def test_leaders_are_drawn_closer_where_they_crowd_in_a_corner():
    ax = figure_of("final_metric_leaders", run_of("crowded")).axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["near", "nearer"]
    assert np.ptp(ax.get_xlim()) < 0.2
    draw = next(plot for plot in PLOTS if plot.name == "final_metric_leaders").draw
    assert draw(run_of("zeros")) is None


def test_one_explosion_does_not_flatten_the_others():
    run = run_of("small")
    for ax in figure_of("loss", run).axes:
        assert ax.get_ylim()[1] <= 11 * run.data["constant_loss"]


def test_how_low_a_trial_came_before_it_diverged_is_seen():
    run = make_run(Path("run"), ["kaiming_normal", "normal"], seeds=3)
    low = run.curves["trial"].str.startswith("normal/0.05/0") & (run.curves["step"] == 10)
    dived = dataclasses.replace(run, curves=run.curves.assign(loss=run.curves["loss"].mask(low, 0.001)))
    for ax in figure_of("loss", dived).axes:
        bottom, top = ax.get_ylim()
        assert bottom < 0.001 and top < 40


def test_logarithmic_axes_have_finer_ticks_between_those_that_are_named():
    run = make_run(Path("run"), ["kaiming_normal", "zeros"])
    steep = dataclasses.replace(run, curves=run.curves.assign(loss=np.geomspace(2, 0.004, len(run.curves))))
    for ax in (*figure_of("loss", steep).axes, *figure_of("gradients_by_layer", make_run(Path("run"), TWELVE)).axes):
        low, high = ax.get_ylim()
        finer = [place for place in ax.yaxis.get_minorticklocs() if low <= place <= high]
        assert ax.get_yscale() == "log" and len(finer) > len(ax.get_yticks()) / 2
        assert not any(label.get_text() for label in ax.get_yticklabels(minor=True))


def test_a_cross_stands_where_a_trial_diverged():
    ax = figure_of("loss", run_of("small")).axes[0]
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    assert [step for line in crosses for step in line.get_xdata()] == [40, 40]


def test_a_trial_that_diverged_at_once_still_has_its_cross():
    run = run_of("small")
    dead = run.trials["status"] == "diverged"
    curves = run.curves[~run.curves["trial"].isin(run.trials.loc[dead, "trial"])]
    trials = run.trials.assign(diverged_step=run.trials["diverged_step"].where(~dead, 0))
    ax = figure_of("loss", dataclasses.replace(run, trials=trials, curves=curves)).axes[0]
    lines = [line for line in ax.lines if line.get_marker() == "x"]
    crosses = [end for line in lines for end in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    assert crosses == [(0, ax.get_ylim()[1])] * 2


def test_the_constant_predictor_is_drawn_and_named():
    figure = figure_of("loss", run_of("small"))
    assert any(text.get_text() == "constant predictor" for text in figure.legends[0].get_texts())


def test_zero_gradients_lie_on_the_line_marked_zero():
    figure = figure_of("gradients_by_layer", run_of("small"))
    ticks_of = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert ticks_of[0] == "0"


def test_legends_stand_beside_the_panels():
    figure = figure_of("loss", run_of("twelve"))
    figure.draw_without_rendering()
    left = figure.legends[0].get_window_extent().x0
    assert all(ax.get_window_extent().x1 <= left for ax in figure.axes)


def test_every_seed_is_a_dot_and_divergence_is_counted():
    ax: Axes = figure_of("final_metric", run_of("small")).axes[0]
    dots = [line for line in ax.lines if line.get_linestyle() == "None" and line.get_marker() != "|"]
    assert sum(len(line.get_xdata()) for line in dots) == 7
    assert "2 of 3 diverged" in [text.get_text() for text in ax.texts]


def test_heat_map_holds_medians_over_the_seeds():
    run = run_of("small")
    frame = run.weight_gradients[run.weight_gradients["label"] == "kaiming_normal"]
    steps, values = matrix(frame)
    assert values.shape == (4, 11)
    assert steps.tolist() == list(range(0, 101, 10))
    first = frame[(frame["param"] == "head.weight") & (frame["step"] == 100)]["grad_norm"]
    assert values[-1, -1] == pytest.approx(np.median(first))


def test_mosaic_puts_units_side_by_side_and_vectors_below_each_other():
    assert mosaic(np.ones((3, 28, 28), dtype=np.float32)).shape == (28, 3 * 28 + 2 * 2)
    assert mosaic(np.ones((3, 20), dtype=np.float32)).shape == (3 * 4 + 2, 20)


def test_each_variant_starts_a_row_of_heat_maps():
    figure = figure_of("gradient_heatmap", make_run(Path("run"), ["a@d=1", "a@d=2", "b@d=1", "b@d=2", "c@d=2"]))
    places = [ax.get_subplotspec() for ax in figure.axes if ax.get_title(loc="left")]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    titles = [ax.get_title(loc="left") for ax in figure.axes][:5]
    assert titles == ["a@d=1", "b@d=1", "a@d=2", "b@d=2", "c@d=2"]


def test_ticks_of_the_colour_bar_do_not_overlap() -> None:
    run = make_run(Path("run"), ["a", "b"])
    for low, high in ((0.21, 0.34), (0.1, 0.9), (1e-7, 1e3), (3.0, 3.0)):
        narrow = run.gradients.assign(grad_norm=np.linspace(low, high, len(run.gradients)))
        figure = figure_of("gradient_heatmap", dataclasses.replace(run, gradients=narrow))
        figure.canvas.draw()
        bar = figure.axes[-1]
        boxes = [text.get_window_extent() for text in bar.get_yticklabels(which="both") if text.get_text()]
        boxes.sort(key=lambda box: box.y0)
        assert boxes and all(below.y1 <= above.y0 for below, above in pairwise(boxes)), (low, high)


def test_weights_that_explode_get_a_colour_scale_of_their_own():
    run = run_of("zeros")
    units = run.units[run.units["seed"] == 0]
    for factor, title in ((3.0, "zeros   ± 3"), (50.0, "zeros   ± 1, after ± 50")):
        values = [np.ones((2, 4, 4), np.float32) * size for size in (1.0, factor)]
        figure = figure_of("units", dataclasses.replace(run, units=units.assign(values=values)))
        assert figure.axes[0].get_title(loc="left") == title


def test_looks_are_stable_and_distinct():
    labels = [f"label{index}" for index in range(60)]
    assert len(set(looks(labels).values())) == 60
    assert looks(labels)["label3"] == looks(labels[:5])["label3"]
    assert len({look.color for look in looks(TWELVE).values()}) == len(COLORS)


def test_variants_share_the_look_of_their_scheme():
    shown = looks(["a@depth=2", "b@depth=2", "a@depth=9"])
    assert shown["a@depth=2"] == shown["a@depth=9"] != shown["b@depth=2"]


def test_short_labels_fit_and_stay_distinct():
    texts = short(LONG)
    assert all(len(text) <= 28 and "…" in text for text in texts.values())
    twins = [f"{'x' * 30}{index}{'y' * 30}" for index in range(2)]
    assert len(set(short(twins).values())) == 2


def test_named_counts_the_rest():
    assert named(["a", "b"]) == "a, b"
    assert named(["a@d=1", "b@d=1", "c@d=1"]) == "a, b and 1 more"


def test_log_scale_keeps_zeros_below_and_extremes_at_the_ends():
    scale = LogScale.over([0.0, 1e-3, 10.0])
    assert scale.floor is not None
    assert scale.place([0.0, 10.0]).tolist() == [scale.floor, 10.0]
    cut = LogScale.over([1e-30, 1.0], within=(1e-12, 1e6))
    assert (cut.low, cut.cut_low, cut.floor) == (1e-12, True, None)
    assert LogScale.over([0.0, 0.0]).place([0.0])[0] < 1


def test_ticks_are_few_and_inside():
    assert ticks(0.03, 0.6) == pytest.approx([0.05, 0.1, 0.2, 0.5])
    assert len(ticks(1e-40, 1e13)) <= 8
    assert ticks(0.12, 0.35) == pytest.approx([0.2, 0.3])
    assert ticks(0.3, 0.3) == pytest.approx([0.3])
    assert [tick_text(value) for value in (0.05, 1000.0, 1e-9)] == ["0.05", "1000", "$10^{-9}$"]


def test_save_writes_both_formats_and_nothing_else(tmp_path: Path):
    save(figure_of("loss", run_of("small")), tmp_path / "figures" / "loss")
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["loss.png", "loss.svg"]


def test_save_says_what_the_disk_refused(tmp_path: Path):
    blocked = tmp_path / "figures"
    blocked.write_text("a file where the directory should be")
    with pytest.raises(StorageError, match=r"cannot use .*loss\.png: .* free space or fix the permission"):
        save(figure_of("loss", run_of("small")), blocked / "loss")


def test_every_variant_has_the_constant_predictor_of_its_own_data():
    run = run_of("variants")
    names = sorted({label.partition("@")[2] for label in run.labels})
    losses = {name: 0.5 + index for index, name in enumerate(names)}
    own = dataclasses.replace(run, data=run.data | {"constant_loss": None, "constant_losses": losses})
    dotted = [
        line.get_ydata()[0] for ax in figure_of("loss", own).axes for line in ax.lines if line.get_linestyle() == ":"
    ]
    assert set(losses.values()) <= set(dotted)
