"""Every figure of a probe, over tables that stress it: the tests run over each row of SIGNAL_PLOTS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from frames import TWELVE
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from signal_frames import make_signals

from winit_cli.plots import encode
from winit_cli.plots.expected import expected
from winit_cli.plots.probe_signal import THEORY
from winit_cli.plots.signal_plots import SIGNAL_PLOTS, SignalPlot
from winit_cli.plots.signals import Signals
from winit_cli.plots.style import looks
from winit_cli.stats.intervals import t_quantile

SIX = ["kaiming_normal", "lecun_normal", "large", "zeros", "pytorch_default", "tanh gain"]
VARIANTS = [f"{label}@depth={depth}" for depth in (3, 10) for label in SIX[:3]]
CASES: dict[str, Callable[[], Signals]] = {
    "one": lambda: make_signals(["kaiming_normal"]),
    "six": lambda: make_signals(SIX),
    "twelve": lambda: make_signals(TWELVE, layers=61, seeds=2),
    "gates": lambda: make_signals(SIX, layers=2, model="lstm", gates=("input", "forget", "output")),
    "variants": lambda: make_signals(VARIANTS, seeds=1),
    "long": lambda: make_signals([f"{'a-label-of-sixty-four-characters' * 2}"[:62] + f"{i:02d}" for i in range(3)]),
}


@cache
def case(name: str) -> Signals:
    return CASES[name]()


every_plot = pytest.mark.parametrize("plot", SIGNAL_PLOTS, ids=lambda plot: plot.name)


def figure_of(name: str, signals: Signals) -> Figure:
    figure = next(plot for plot in SIGNAL_PLOTS if plot.name == name).draw(signals)
    assert figure is not None
    return figure


@every_plot
@pytest.mark.parametrize("name", list(CASES)[1:])
def test_a_figure_is_laid_out_without_overlaps(plot: SignalPlot, name: str) -> None:
    figure = plot.draw(case(name))
    if figure is None:
        nothing = {"probe_gates": name != "gates", "probe_correlation": name == "gates"}
        assert nothing.get(plot.name)
        return
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    assert width <= 14 and height * 150 < 2**16
    assert not overlaps(figure)


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts, of titles, boxes and annotations, that cover each other."""
    texts = [text for ax in figure.axes for text in (*ax.texts, ax.title, ax._left_title)]
    for ruler in (ruler for ax in figure.axes for ruler in (ax.xaxis, ax.yaxis)):
        low, high = sorted(ruler.get_view_interval())
        texts += [tick.label1 for tick in ruler.get_major_ticks() if low <= tick.get_loc() <= high]
    shown = [text for text in texts if text.get_text() and text.get_visible() and text.get_rotation() == 0]
    places = [(text.get_text(), text.get_window_extent()) for text in shown]
    return [
        (a, b)
        for (a, here), (b, there) in combinations(places, 2)
        if min(here.x1, there.x1) - max(here.x0, there.x0) > 1 and min(here.y1, there.y1) - max(here.y0, there.y0) > 1
    ]


@every_plot
def test_nothing_measured_is_no_figure(plot: SignalPlot) -> None:
    signals = make_signals(SIX)
    tables = {name: getattr(signals, name).iloc[:0] for name in ("probe", "verdicts", "histograms", "init")}
    assert plot.draw(dataclasses.replace(signals, **tables)) is None


@every_plot
def test_the_same_tables_give_the_same_bytes(plot: SignalPlot) -> None:
    words = {"Title": plot.title, "Description": "a < b & c"}
    first, second = (plot.draw(case("gates" if "gates" in plot.name else "one")) for _ in range(2))
    assert first is not None and second is not None
    written = encode(first, "svg", words)
    assert written == encode(second, "svg", words)
    assert f"<title>{plot.title}</title>" in written.decode() and "a &lt; b &amp; c" in written.decode()


@every_plot
def test_rows_say_how_to_read_the_figure_and_what_it_shows(plot: SignalPlot) -> None:
    assert plot.name.isidentifier() and plot.title
    assert len(plot.caption) > 80
    alt = plot.alt(case("gates"))
    assert all(label in alt for label in SIX)
    assert alt.endswith(".") and "nan" not in plot.alt(case("one"))


@pytest.mark.slow
def test_many_labels_do_not_crash() -> None:
    signals = make_signals([f"scheme_{index}" for index in range(45)], seeds=1, layers=3)
    for name in ("probe_verdicts", "probe_signal"):
        figure_of(name, signals).draw_without_rendering()


def test_a_label_has_its_colour_in_every_figure() -> None:
    signals = make_signals(SIX)
    wanted = {look.color for look in looks(SIX).values()}
    for name in ("probe_signal", "probe_correlation"):
        lines = [line for line in figure_of(name, signals).axes[0].lines if line.get_linestyle() != ":"]
        assert {line.get_color() for line in lines} >= wanted - {looks(SIX)["zeros"].color}
    for name in ("probe_weights", "probe_spectrum"):
        axes = figure_of(name, signals).axes
        faces = {to_hex(c.get_facecolor()[0], keep_alpha=False).upper() for ax in axes for c in ax.collections}
        assert faces <= wanted


def test_two_seeds_are_two_lines_and_three_an_interval() -> None:
    for name in ("probe_signal", "probe_correlation"):
        two, three = (figure_of(name, make_signals(SIX, seeds=seeds)).axes[0] for seeds in (2, 3))
        spans = [[len(band.get_paths()) for band in ax.collections] for ax in (two, three)]
        assert not any(spans[0]) and sum(spans[1]) >= len(SIX) - 1
        singles = [
            sum(line.get_linewidth() == 0.6 and line.get_alpha() == 0.8 for line in ax.lines) for ax in (two, three)
        ]
        assert singles == [2 * len(SIX), 0]
        row = next(row for row in SIGNAL_PLOTS if row.name == name)
        assert "a thin line for each of two seeds" in row.caption


def test_no_label_looks_like_theory() -> None:
    labels = [f"label {index}" for index in range(60)]
    assert THEORY["linestyle"] not in [look.line for look in looks(labels).values()]
    ax = figure_of("probe_signal", make_signals(labels[:7])).axes[0]
    black = [line for line in ax.lines if line.get_color() in ("black", "#000000")]
    edged = [line for line in black if line.get_path_effects()]
    assert 0 < len(edged) == len(black) - 1, "the seventh label is black too"


def test_theory_is_dotted_and_named() -> None:
    figure = figure_of("probe_signal", make_signals(["kaiming_normal", "lecun_normal"]))
    assert "theory" in [text.get_text() for text in figure.legends[0].get_texts()]
    ax = figure.axes[0]
    dotted = [line for line in ax.lines if line.get_color() == "black"]
    # sigma_w2 = 2 gain, behind relu and on an input of mean square 1: twice the gain, then the gain in every layer
    assert [list(line.get_ydata()) for line in dotted] == [
        pytest.approx([2, 2, 2, 2]),
        pytest.approx([1, 0.5, 0.25, 0.125]),
    ]


def test_theory_is_silent_about_other_models() -> None:
    signals = make_signals(["kaiming_normal"])
    other = dataclasses.replace(signals, config={"model": {"name": "cnn", "activation": "relu"}})
    assert expected(signals, "kaiming_normal") is not None and expected(other, "kaiming_normal") is None
    normed = dataclasses.replace(signals, config={"model": signals.config["model"] | {"norm": "batch"}})
    assert expected(normed, "kaiming_normal") is None
    shifted = dataclasses.replace(signals, init=signals.init.assign(mean=0.1))
    assert expected(shifted, "kaiming_normal") is None


def test_theory_takes_the_activation_of_the_variant() -> None:
    signals = make_signals(["a@activation=tanh", "a@activation=relu"])
    varied = dataclasses.replace(signals, config=signals.config | {"vary": {"model.activation": ["tanh", "relu"]}})
    found = [expected(varied, label) for label in varied.labels]
    assert [one.activation for one in found if one] == ["tanh", "relu"]


def test_intervals_stay_above_zero() -> None:
    signals = make_signals(["kaiming_normal"], seeds=3)
    spread = signals.probe["seed"].map({0: 1.0, 1: 1000.0, 2: 1000.0})
    figure = figure_of("probe_signal", dataclasses.replace(signals, probe=signals.probe.assign(value=spread)))
    (band,) = figure.axes[0].collections
    ends = band.get_paths()[0].vertices[:, 1]
    low, high = figure.axes[0].get_ylim()
    assert low < ends.min() and ends.max() < high, "the band is whole"
    assert ends.min() > 0 and ends.max() == pytest.approx(667 + t_quantile(3) * 577 / 3**0.5, rel=1e-2)


def test_zeros_lie_on_a_line_of_their_own() -> None:
    ax = figure_of("probe_signal", make_signals(SIX)).axes[0]
    assert ax.get_yticklabels()[0].get_text() == "0"


def test_the_first_bad_layer_changes_the_colour_of_a_strip() -> None:
    ax = figure_of("probe_verdicts", make_signals(SIX)).axes[0]
    rows = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert len(set(rows[:4])) == 1 and len(set(rows[4:8])) == 2
    assert [text.get_text() for text in ax.texts][:2] == ["healthy", "vanishing  layers.1: layer_gain 0.17"]


def test_of_many_layers_the_first_and_the_last_are_drawn() -> None:
    ax = figure_of("probe_weights", make_signals(["a", "b"], layers=50)).axes[-1]
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert len(names) == 8 and (names[0], names[-1]) == ("layers.0", "head")


def test_a_bin_of_zeros_is_cut_and_named() -> None:
    ax = figure_of("probe_activations", make_signals(["a"])).axes[0]
    assert all("% at 0" in text.get_text() for text in ax.texts)
    heights = np.array([path.vertices[:, 1].max() for path in ax.collections[0].get_paths()])
    assert np.sort(heights)[-2] > 0.25 * heights.max()


def test_gates_say_how_much_is_shut_and_open() -> None:
    signals = make_signals(["a"], layers=2, model="lstm", gates=("forget",))
    one = signals.histograms[signals.histograms["quantity"] == "gate_forget"].iloc[:2]
    two = one.assign(low=[0.0, 0.97], high=[0.02, 0.99], count=[1, 3])
    ax = figure_of("probe_gates", dataclasses.replace(signals, histograms=two)).axes[0]
    assert [text.get_text() for text in ax.texts] == ["mean 0.74 · shut 25% · open 75%"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["forget gate, 0 to 1"]
