"""The drawing of stability: well-formed, inert, and true to the numbers."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from align.segmentation.stability import Stability
from pipelines.stability_plot import stability_svg

SVG = "{http://www.w3.org/2000/svg}"


def record(n=3, name="wrist", counts=(9, 4, 1), penalties=(1.0, 3.0, 90.0, 100.0)):
    return Stability(
        name,
        "l2",
        10.0,
        np.array(penalties),
        np.array(counts),
        np.linspace(10.0, 90.0, n),
        np.linspace(1.0, 0.2, n),
        (0.0, 100.0),
    )


def drawn(found):
    return ElementTree.fromstring(stability_svg(found))


def test_chosen_number_and_its_step_are_marked():
    root = drawn(record())
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert texts[0] == "wrist: 4 segments"
    assert texts[1] == "the number stays the same while the penalty changes by a factor of 30"
    (band,) = root.iter(f"{SVG}rect")
    (dot,) = root.iter(f"{SVG}circle")
    left = float(band.get("x"))
    assert left < float(dot.get("cx")) < left + float(band.get("width"))


def test_line_has_one_level_per_solution_and_falls():
    (line,) = drawn(record()).iter(f"{SVG}polyline")
    points = np.array([p.split(",") for p in line.get("points").split()], float)
    assert len(points) == 6 and (np.diff(points[:, 0]) >= 0).all() and (np.diff(points[:, 1]) >= 0).all()


@pytest.mark.parametrize("n", [0, 1, 3, 5000])
def test_boundaries_are_as_tall_as_they_persist(n):
    root = drawn(record(n))
    ticks = [
        float(t.get("y2")) - float(t.get("y1"))
        for t in root.iter(f"{SVG}line")
        if t.get("stroke").startswith("var(--accent") and t.get("stroke-dasharray") is None
    ]
    assert len(ticks) == min(n, 2000)
    assert ticks == sorted(ticks, reverse=True)


def test_names_are_text_and_the_drawing_is_ascii():
    text = stability_svg(record(name="<script>alert('\u00e9')</script>"))
    assert text.isascii() and "<script" not in text
    assert not re.search(r"\bon\w+=|javascript:|href", text)
    first = next(iter(ElementTree.fromstring(text).iter(f"{SVG}text")))
    assert first.text == "<script>alert('\u00e9')</script>: 4 segments"


def test_one_segment_throughout_is_drawn():
    texts = [t.text for t in drawn(record(0, counts=(1,), penalties=(1.0, 100.0))).iter(f"{SVG}text")]
    assert texts[0] == "wrist: 1 segment"
