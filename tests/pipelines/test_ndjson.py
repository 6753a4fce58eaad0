"""Lines in and out: what is a record, and that no error quotes one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import AlignError
from pipelines.ndjson import Anchor, Heartbeat, Remark, Rows, event_line, read_record


def rows(text: str) -> Rows:
    record = read_record(text.encode())
    assert isinstance(record, Rows)
    return record


def test_a_row_a_block_a_note_and_a_heartbeat() -> None:
    one = rows('{"stream": "wrist", "t": 12.34, "v": [1, null, 2.5]}')
    assert one.stream == "wrist" and one.times.tolist() == [12.34] and one.sequence is None
    np.testing.assert_array_equal(one.values, [[1.0, np.nan, 2.5]])
    block = rows('{"stream": "w", "t": [0, 1], "v": [[1, 2], [3, 4]], "seq": 9007199254740993}')
    assert block.values.tolist() == [[1, 2], [3, 4]] and block.sequence == 2**53 + 1
    assert rows('{"stream": "w", "t": [0, 1], "v": [1, 2]}').values.shape == (2, 1)
    assert rows('{"stream": "w", "t": 0, "v": 5}').values.tolist() == [[5.0]]
    assert rows('{"stream": "w", "t": [], "v": []}').values.shape == (0, 1)
    assert read_record(b'{"note": "dizzy", "t": 3}') == Remark("dizzy", 3.0)
    assert read_record(b'{"heartbeat": "wrist", "t": 3}\r\n') == Heartbeat("wrist", 3.0)
    shown = read_record(b'{"anchor": "ankle", "t": 9.5, "reference": "wrist", "at": "1970-01-01T00:00:10Z"}')
    assert shown == Anchor("ankle", 9.5, "wrist", 10.0)
    assert read_record(b"  \n") is None


def test_times_in_iso_8601_are_seconds_since_1970_whatever_their_offset() -> None:
    for text in ("2026-03-28T22:10:00.5Z", "2026-03-28T23:10:00.5+01:00", "2026-03-28 17:10:00.500-05:00"):
        assert rows(f'{{"stream": "w", "t": "{text}", "v": 1}}').times[0] == 1774735800.5


BAD = [
    ("{", "E-JSON", 2),
    ('{"stream": "SECRET" "t": 1, "v": [1]}', "E-JSON", 21),
    ('["SECRET"]', "E-JSON", None),
    ("[" * 100_000, "E-JSON", None),
    ('{"stream": "SECRET", "t": 1, "v": ' + "9" * 5_000 + "}", "E-JSON", None),
    ('{"t": 1, "v": [1]}', "E-RECORD", None),
    ('{"stream": "SECRET", "note": "SECRET", "t": 1}', "E-RECORD", None),
    ('{"stream": "", "t": 1, "v": 1}', "E-RECORD", None),
    ('{"stream": "SECRET", "t": 1, "v": 1, "SECRET": 2}', "E-RECORD", None),
    ('{"stream": "SECRET", "t": 1}', "E-RECORD", None),
    ('{"stream": "SECRET", "t": [1, 2], "v": [1]}', "E-RECORD", None),
    ('{"stream": "SECRET", "t": [1, 2], "v": [[1], [1, 2]]}', "E-RECORD", None),
    ('{"stream": "SECRET", "t": 1, "v": []}', "E-RECORD", None),
    ('{"stream": "SECRET", "t": 1, "v": 1, "seq": -1}', "E-RECORD", None),
    ('{"stream": "SECRET", "t": 1, "v": 1, "seq": true}', "E-RECORD", None),
    ('{"note": 7, "t": 1}', "E-RECORD", None),
    ('{"anchor": "SECRET", "t": 1, "at": 2}', "E-RECORD", None),
    ('{"anchor": "SECRET", "t": 1, "reference": "SECRET"}', "E-RECORD", None),
    ('{"stream": "SECRET", "t": 1, "v": ["SECRET"]}', "E-NUMBER", None),
    ('{"stream": "SECRET", "t": 1, "v": [true]}', "E-NUMBER", None),
    ('{"stream": "SECRET", "t": 1, "v": [' + "9" * 400 + "]}", "E-RANGE", None),
    ('{"note": "SECRET"}', "E-TIME", None),
    ('{"note": "SECRET", "t": "SECRET"}', "E-TIME", None),
    ('{"note": "SECRET", "t": "2026-03-28T22:10:00"}', "E-TIME", None),
    ('{"note": "SECRET", "t": true}', "E-TIME", None),
    ('{"note": "SECRET", "t": NaN}', "E-TIME", None),
    ('{"stream": "SECRET", "t": [1, 1e999], "v": [1, 2]}', "E-TIME", None),
]


@pytest.mark.parametrize(("line", "code", "column"), BAD, ids=range(len(BAD)))
def test_S12_a_bad_line_is_named_and_not_quoted(line: str, code: str, column: int | None) -> None:
    with pytest.raises(AlignError) as caught:
        read_record(line.encode())
    assert caught.value.code == code and caught.value.where.get("column") == column
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.exit_code == 3


def test_bytes_that_are_no_utf_8_are_named_with_their_place() -> None:
    with pytest.raises(AlignError, match="column 3: not UTF-8"):
        read_record(b'{"\xff')


def test_S12_a_note_does_not_show_its_text_by_accident() -> None:
    assert "dizzy" not in repr(read_record(b'{"note": "dizzy", "t": 3}'))


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_record_or_a_named_error(line: bytes) -> None:
    try:
        record = read_record(line)
    except AlignError as error:
        assert error.exit_code == 3
    else:
        assert record is None or isinstance(record, Rows | Remark | Heartbeat)


def test_an_event_is_one_line_of_ascii() -> None:
    line = event_line({"seq": 2**53 + 1, "event": "segment", "stream": "Hand\n\u2028", "start": 0.1})
    assert line.isascii() and line.count(b"\n") == 1 and line.endswith(b"\n")
    assert json.loads(line)["seq"] == 2**53 + 1
    with pytest.raises(ValueError, match="JSON"):
        event_line({"start": float("nan")})
