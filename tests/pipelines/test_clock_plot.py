"""The drawing of a clock: well-formed, inert, and true to the numbers."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from align.matching.clock_fit import fit_clock
from pipelines.clock_plot import clock_svg

SVG = "{http://www.w3.org/2000/svg}"


def repair(n=200, names=("watch", "phone"), wrong=0):
    device = np.linspace(0.0, 86_400.0, n)
    rng = np.random.default_rng(0)
    session = device + 3.0 + 50e-6 * device - 1.5 * (device >= 40_000) + rng.normal(0, 0.01, n)
    session[10 : 10 + wrong] += 30.0
    return fit_clock(device, session, breaks=[40_000.0], names=names)


def test_dots_are_anchors_and_crosses_those_left_out():
    root = ElementTree.fromstring(clock_svg(repair(wrong=3)))
    assert len(list(root.iter(f"{SVG}circle"))) == 2 * 197, "on the curve and around what is left"
    assert len(list(root.iter(f"{SVG}path"))) == 2 * 3
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert texts[0] == "watch onto the clock of phone"
    assert texts[1].startswith("+3.00 s at first, then +50.") and "197 anchors, 3 left out" in texts[1]
    assert "86,400.0 s" in texts


def test_the_curve_rises_with_the_drift_and_falls_where_the_clock_was_set():
    root = ElementTree.fromstring(clock_svg(repair()))
    (line,) = root.iter(f"{SVG}polyline")
    points = np.array([p.split(",") for p in line.get("points").split()], float)
    heights = points[np.argsort(points[:, 0], kind="stable"), 1]
    assert (np.diff(points[:, 0]) >= 0).all()
    step = int(np.diff(heights).argmax())
    assert heights[0] > heights[step] and heights[-1] < heights[step + 1], "up is more seconds"


@pytest.mark.parametrize(
    "anchors", [([5.0], [5.03]), ([5.0, 9.0], [5.0, 9.0]), ([0.0, 1.0], [-3e5, -3e5 + 1])]
)
def test_few_anchors_are_drawn_inside_the_frame(anchors):
    root = ElementTree.fromstring(clock_svg(fit_clock(*anchors)))
    for dot in root.iter(f"{SVG}circle"):
        assert 0 <= float(dot.get("cx")) <= 720 and 40 <= float(dot.get("cy")) <= 280


def test_many_anchors_are_thinned_and_names_are_text():
    text = clock_svg(repair(4_000, names=("<script>alert('\u00e9')</script>", "b&c")))
    assert text.isascii() and "<script" not in text and not re.search(r"\bon\w+=|javascript:|href", text)
    assert len(list(ElementTree.fromstring(text).iter(f"{SVG}circle"))) <= 3_000
