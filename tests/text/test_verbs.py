"""align/text/verbs.py: forms of verbs."""

from __future__ import annotations

import pytest

from align.text.verbs import _OF_FORM, FORMS, inflected, lemma_of


@pytest.mark.parametrize(
    ("lemma", "forms"),
    [
        ("lie", ["lie", "lies", "lay", "lying"]),
        ("take", ["take", "takes", "took", "taking"]),
        ("stop", ["stop", "stops", "stopped", "stopping"]),
        ("cry", ["cry", "cries", "cried", "crying"]),
        ("stay", ["stay", "stays", "stayed", "staying"]),
        ("have", ["have", "has", "had", "having"]),
        ("see", ["see", "sees", "saw", "seeing"]),
        ("march", ["march", "marches", "marched", "marching"]),
        ("go", ["go", "goes", "went", "going"]),
    ],
)
def test_forms(lemma, forms):
    assert [inflected(lemma, form) for form in FORMS] == forms


def test_every_form_leads_back_to_its_verb():
    for word, (lemma, form) in _OF_FORM.items():
        assert inflected(lemma, form) == word
    assert lemma_of("xyz") is None
