"""benchmarks/rhythm.py: the remarks of a header, a sentence a note."""

from __future__ import annotations

from pathlib import Path

from benchmarks.rhythm import remarks


def test_remarks_are_the_sentences_behind_patient_and_drugs(tmp_path: Path) -> None:
    head = tmp_path / "1.hea"
    head.write_text(
        "1 2 360 10\n1.dat 212\n# 60 F 1 2 x1\n# Some drug\n# The beats are odd.  A rhythm\n# comes late!  It ends.\n"
    )
    assert [note.text for note in remarks(head)] == ["The beats are odd.", "A rhythm comes late!", "It ends."]
    head.write_text("1 2 360 10\n# 60 F 1 2 x1\n# Some drug\n")
    assert remarks(head) == ()
