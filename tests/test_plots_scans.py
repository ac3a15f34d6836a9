"""Phase diagrams, lines of a scan, and the coordinate check."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from frames import TWELVE
from matplotlib.figure import Figure
from signal_frames import make_coordinates, make_scan
from test_plots_signals import overlaps

from winit_cli.plots import boxes, coordinate, encode, phase, scan_lines
from winit_cli.plots.scan_axes import edges

SIGMAS = tuple(1 + 0.25 * place for place in range(9))


@pytest.mark.parametrize(
    ("labels", "axes"),
    [
        (["gaussian"], {"sigma_w": SIGMAS}),
        (["gaussian"], {"sigma_w": SIGMAS, "widths": (16, 64)}),
        (["a", "b", "zeros"], {"widths": (16, 64, 256), "depths": (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)}),
        (TWELVE[:5], {"widths": (16, 256)}),
    ],
)
def test_phase_diagrams_are_laid_out(labels: list[str], axes: dict[str, tuple[int, ...]]) -> None:
    figure = phase.figure(make_scan(labels, **axes), 1.5)
    assert figure is not None and scan_lines.figure(make_scan(labels, **axes)) is None
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    assert width <= 13 and height * 150 < 2**16
    assert not overlaps(figure)


def test_a_phase_diagram_has_theory_over_it() -> None:
    figure = phase.figure(make_scan(["gaussian"], sigma_w=SIGMAS), 1.25)
    assert figure is not None
    for ax in figure.axes[:3]:
        reach, critical = ax.lines
        assert list(reach.get_xdata()) == list(SIGMAS)
        assert reach.get_ydata()[4] == pytest.approx(6 / np.log(2))
        assert reach.get_ydata()[0] > 1e8  # at 1 there is no limit, and no number
        assert set(critical.get_xdata()) == {1.25}
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[-2:] == [r"$6\,\xi_c$, theory's trainable depth", r"critical $\sigma_w$ = 1.25"]


def test_colours_are_the_medians_of_the_cells() -> None:
    frame = make_scan(["gaussian"], sigma_w=SIGMAS)
    figure = phase.figure(frame)
    assert figure is not None
    (mesh,) = figure.axes[1].collections
    table = np.asarray(mesh.get_array()).reshape(3, len(SIGMAS))
    assert table[0, -1] == 9.0 and table[2, -1] == phase.FAR["gradient_ratio"]  # 3^2, and what lies beyond
    (mesh,) = figure.axes[2].collections
    assert np.asarray(mesh.get_array()).reshape(3, -1)[1, 0] == pytest.approx(1 - 0.9**10)


@pytest.mark.parametrize("axes", [{}, {"depths": (3,), "widths": (8, 16)}, {"depths": (3,), "sigma_w": SIGMAS}])
def test_one_axis_is_drawn_as_lines(axes: dict[str, tuple[int, ...]]) -> None:
    frame = make_scan(["a", "b", "zeros"], **axes)
    figure = scan_lines.figure(frame, 1.5)
    assert figure is not None and phase.figure(frame) is None
    figure.draw_without_rendering()
    assert not overlaps(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "zeros", "theory"]
    shown = [scan_lines.METRICS[name] for name in ("pre_mean_square", "gradient_ratio", "correlation")]
    assert [ax.get_title(loc="left") for ax in figure.axes] == shown


def test_nothing_scanned_is_no_figure() -> None:
    one = make_scan(["a"], depths=(3,))
    assert phase.figure(one) is None and scan_lines.figure(one) is None
    assert coordinate.figure(make_coordinates([])) is None


def test_borders_lie_between_the_values() -> None:
    assert edges("sigma_w", np.array([1.0, 2.0, 4.0])) == pytest.approx([0.5, 1.5, 3, 5])
    assert edges("depth", np.array([2.0, 8.0])) == pytest.approx([1, 4, 16])


@pytest.mark.parametrize(("labels", "layers"), [(["a"], 3), (TWELVE[:6], 4), (["a", "zeros"], 40)])
def test_a_coordinate_check_is_laid_out(labels: list[str], layers: int) -> None:
    figure = coordinate.figure(make_coordinates(labels, layers=layers))
    assert figure is not None
    figure.draw_without_rendering()
    assert not overlaps(figure)
    assert figure.get_size_inches()[0] <= 13


def test_a_coordinate_check_has_a_line_for_each_layer_over_the_width() -> None:
    figure = coordinate.figure(make_coordinates(["a", "zeros"]))
    assert figure is not None
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    assert [list(line.get_xdata()) for line in lines] == [[64, 128, 256]] * 4
    assert list(lines[0].get_ydata()) == pytest.approx([64**-0.5, 128**-0.5, 256**-0.5])
    notes = [text.get_text() for ax in figure.axes[:2] for text in ax.texts]
    assert notes == ["width^-0.50 to width^1.00", "nothing changes"]
    assert figure.axes[0].get_yticklabels()[0].get_text() == "0"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: phase.figure(make_scan(["a"], sigma_w=SIGMAS[:3])),
        lambda: scan_lines.figure(make_scan(["a"])),
        lambda: coordinate.figure(make_coordinates(["a"], layers=2)),
    ],
    ids=["phase", "scan_lines", "coordinate"],
)
def test_the_same_tables_give_the_same_bytes(draw: Callable[[], Figure]) -> None:
    assert encode(draw(), "svg") == encode(draw(), "svg")


def test_equal_slopes_are_told_once_and_equal_values_have_a_width() -> None:
    rows = [("a", width, 0, 5, "layers.0", 1, 0.5) for width in (8, 16, 32)]
    frame = pd.DataFrame(rows, columns=["label", "width", "seed", "step", "layer", "depth", "value"])
    figure = coordinate.figure(frame)
    assert figure is not None
    texts = [text.get_text() for ax in figure.axes for text in [*ax.texts, ax.title]]
    assert "width^0.00" in texts and not any(" to " in text for text in texts)
    drawn = boxes.plot(
        [boxes.Box(*np.array([[0.5], [0.5], [9.0]]), (0.0, 1.0), "")], Figure().subplots(), color="k", places=1
    )
    (bar,) = drawn.collections[0].get_paths()
    assert bar.get_extents().width > 0.01
