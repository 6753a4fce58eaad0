"""pipelines/tokens.py and code_plot.py: tables say what the book says, files are read back, drawings are whole."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from align import Stream
from align.answers import Codebook
from align.errors import InputError, ParameterError
from align.tokens.saved import books_to_bytes, load_books
from align.tokens.tally import empty_book
from pipelines.code_plot import book_page, book_svg
from pipelines.token_books import Wanted
from pipelines.tokenize import tokenize_recordings
from pipelines.tokens import (
    book_rows,
    code_rows_of,
    compare_books,
    drift_rows,
    export_bytes,
    mapping_rows,
    measure_drifts,
    sparkline,
)
from tests.pipelines.walks import files, heart, sessions, wrist


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    tokenize_recordings(sessions(folder / "in"), folder / "out", Wanted(n_codes=3))
    return folder / "out" / "codebook.safetensors"


def test_rows_say_what_the_book_says(made):
    for book, about in zip(load_books(made), book_rows(load_books(made)), strict=True):
        rows = code_rows_of(book)
        assert [r["count"] for r in rows] == book.counts.tolist()
        assert sum(r["share"] for r in rows) == pytest.approx(1.0, abs=1e-4)
        assert about["n_segments"] == sum(r["count"] for r in rows)
        for row, medoid in zip(rows, book.medoids, strict=True):
            assert (row["recording"], row["in_stream"]) == (medoid.recording, medoid.stream)
            assert 1 <= len(row["sparkline"]) <= 24
        json.dumps([about, *rows], allow_nan=False)


def test_a_sparkline_rises_with_what_it_shows(made):
    book = load_books(made)[0]
    k, c = len(book.counts), len(book.channels)
    rise = np.tile(np.linspace(0, 1, 24)[None, :, None], (k, 1, c))
    shown = dataclasses.replace(book, excerpts=rise.astype(np.float32))
    spark = sparkline(shown, 0)
    assert len(spark) == 24 and list(spark) == sorted(spark) and spark[0] == "▁" and spark[-1] == "█"
    nothing = dataclasses.replace(book, excerpts=np.full((k, 4, c), np.nan))
    assert sparkline(nothing, 0) == ""
    flat = dataclasses.replace(book, excerpts=np.full((k, 4, c), 7.0))
    assert set(sparkline(flat, 0)) == {"▅"}


def test_exports_hold_every_code_and_read_back(made):
    books = load_books(made)
    n = sum(len(b.counts) for b in books)
    table = pl.read_parquet(io.BytesIO(export_bytes(books, "parquet")))
    text = pl.read_csv(io.BytesIO(export_bytes(books, "csv")))
    assert len(table) == len(text) == n
    assert table["name"].to_list() == text["name"].to_list() == [x for b in books for x in b.codebook.names]
    said = json.loads(export_bytes(books, "json"))
    assert said["schema"] == "align.codebook/1"
    book = books[0]
    natural = book.codebook.centroids[1] * book.codebook.scale + book.codebook.shift
    codes = said["books"][0]["codes"]
    np.testing.assert_allclose(list(codes[1]["centroid"].values()), natural, rtol=1e-5)
    assert list(codes[1]["centroid"]) == list(book.codebook.features)
    with pytest.raises(ParameterError):
        export_bytes(books, "xlsx")


def test_no_cell_of_a_csv_is_a_formula(made):
    book = load_books(made)[0]
    medoid = dataclasses.replace(book.medoids[0], recording='=HYPERLINK("x")')
    named = dataclasses.replace(book, medoids=(medoid, *book.medoids[1:]))
    cells = pl.read_csv(io.BytesIO(export_bytes([named], "csv")))["recording"]
    assert cells[0] == '\'=HYPERLINK("x")'


def test_a_book_compared_with_itself_is_the_same_and_with_another_is_mapped(made, tmp_path):
    for paths in ([], sessions(tmp_path / "in")):
        for compared in compare_books(made, made, paths):
            assert compared.mapping.is_identity
            assert [r["old"] for r in mapping_rows(compared)] == [0, 1, 2]
    book = next(b for b in load_books(made) if b.stream == "wrist")
    order = [2, 0, 1]
    code = dataclasses.replace(
        book.codebook,
        centroids=book.codebook.centroids[order],
        names=tuple(book.codebook.names[i] for i in order),
    )
    other = tmp_path / "other"
    other.write_bytes(books_to_bytes([dataclasses.replace(book, codebook=code)]))
    (compared,) = compare_books(made, other)
    assert [(r["old"], r["new"]) for r in mapping_rows(compared)] == [(0, 1), (1, 2), (2, 0)]
    assert all(r["old_name"] == r["new_name"] for r in mapping_rows(compared))


def test_books_without_a_common_kind_are_refused(made, tmp_path):
    tokenize_recordings(
        [heart(tmp_path / "h.csv", ["rest", "walk", "rest"])], tmp_path / "h", Wanted(n_codes=2)
    )
    tokenize_recordings([wrist(tmp_path / "w.csv", ["rest", "walk"])], tmp_path / "w", Wanted(n_codes=2))
    with pytest.raises(InputError) as caught:
        compare_books(tmp_path / "h" / "codebook.safetensors", tmp_path / "w" / "codebook.safetensors")
    assert caught.value.code == "E-CODEBOOK-FEATURES"


def test_drift_of_the_recordings_it_was_made_from_is_none(made, tmp_path):
    books = load_books(made)
    drifts, errors, _ = measure_drifts(sessions(tmp_path / "in"), books)
    assert errors == ()
    for book, drift in zip(books, drifts, strict=True):
        assert drift is not None and drift.moved < 1e-5 and not drift.is_far
        assert sum(r["count"] for r in drift_rows(book, drift)) == book.counts.sum()
    only, _, _ = measure_drifts(files(tmp_path / "in2")[:1], books)
    assert [d is None for d in only] == [b.stream == "heart" for b in books]


def test_a_drawing_is_whole_shows_every_code_and_loads_nothing(made):
    books = load_books(made)
    svg = book_svg(books)
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    titles = [t.text for t in root.iter(f"{space}title")]
    assert sorted(titles) == sorted(name for b in books for name in b.codebook.names)
    assert len(list(root.iter(f"{space}polyline"))) == sum(len(b.counts) * len(b.channels) for b in books)
    height = float(root.get("viewBox").split()[3])
    for line in root.iter(f"{space}polyline"):
        for x, y in (map(float, p.split(",")) for p in line.get("points").split()):
            assert 0 <= x <= 960 and 0 <= y <= height
    page = book_page(books)
    assert svg in page and page.isascii()
    assert not re.search(r"<script|src=|href=|url\(", page)


def test_the_legend_names_every_channel_or_says_how_many_more(made):
    book = next(b for b in load_books(made) if b.stream == "wrist")
    assert "tap" in book_svg([book]) and "tip [mm]" in book_svg([book])
    features = tuple(f"{'long channel name'}{i}.{kind}" for i in range(8) for kind in ("mean", "sd"))
    code = Codebook(np.zeros((1, 16)), np.zeros(16), np.ones(16), features, ("a0 typical",))
    stream = Stream(np.zeros((4, 8)), 4.0, channels=tuple(f"long channel name{i}" for i in range(8)))
    assert re.search(r">\+\d<", book_svg([empty_book(code, stream)]))


def test_names_and_paths_in_a_drawing_are_escaped(made):
    book = load_books(made)[0]
    medoid = dataclasses.replace(book.medoids[0], recording="<b>&\x07")
    name = dataclasses.replace(book.codebook, names=("<script>", *book.codebook.names[1:]))
    drawn = book_svg([dataclasses.replace(book, codebook=name, medoids=(medoid, *book.medoids[1:]))])
    assert "<script>" not in drawn and "<b>" not in drawn
    ElementTree.fromstring(drawn)


def test_a_code_that_was_never_seen_is_drawn_as_such(made):
    book = load_books(made)[0]
    k, c = len(book.counts), len(book.channels)
    unseen = dataclasses.replace(book, medoids=(None,) * k, excerpts=np.zeros((k, 0, c)))
    assert book_svg([unseen]).count("not seen") == k
