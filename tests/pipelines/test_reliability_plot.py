"""The drawing of reliability: well-formed, inert, and true to the numbers."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from align.answers import Calibration
from pipelines.reliability_plot import reliability_svg

SVG = "{http://www.w3.org/2000/svg}"
POINTS = np.array([[0.0, 0.1], [0.5, 0.4], [1.0, 0.9]])
LINE = np.array([[0.0, 0.0], [1.0, 1.0]])


def record(seen=((0.75, 0.5, 40.0), (1.0, 1.0, 10.0))):
    return Calibration(POINTS, LINE, 50, spans_seen=np.array(seen).reshape(-1, 3))


def drawn(found):
    return ElementTree.fromstring(reliability_svg(found))


def test_every_tenth_is_a_dot_at_its_share_as_large_as_it_has_answers():
    root = drawn(record())
    left, right = sorted(root.iter(f"{SVG}rect"), key=lambda r: float(r.get("x")))
    x, y, side = (float(left.get(k)) for k in ("x", "y", "width"))
    large, small = root.iter(f"{SVG}circle")
    assert float(large.get("cx")) == pytest.approx(x + 0.75 * side, abs=0.1)
    assert float(large.get("cy")) == pytest.approx(y + 0.5 * side, abs=0.1)
    assert float(small.get("cx")) == pytest.approx(x + side) and float(small.get("cy")) == pytest.approx(y)
    assert float(large.get("r")) == pytest.approx(2 * float(small.get("r")))  # four times the area
    assert large[0].text == "40 answers with posteriors near 0.75: 50% came true"
    assert float(right.get("x")) > x + side


def test_the_lines_are_the_maps():
    placed, unmatched = drawn(record()).iter(f"{SVG}polyline")
    xs, ys = zip(*(map(float, p.split(",")) for p in placed.get("points").split()), strict=True)
    assert np.diff(xs).tolist() == pytest.approx([110.0, 110.0])
    assert (ys[0] - ys[2]) / 220 == pytest.approx(0.8)
    assert len(unmatched.get("points").split()) == 2


def test_what_was_never_seen_is_an_empty_panel():
    root = drawn(record(()))
    assert not list(root.iter(f"{SVG}circle")) and len(list(root.iter(f"{SVG}polyline"))) == 2
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert "placed notes: the span was right (0)" in texts and "unmatched notes: nothing fitted (0)" in texts


def test_ascii_without_scripts_or_links():
    text = reliability_svg(record())
    assert text.isascii() and "<script" not in text and "href" not in text and "on" + "click" not in text
