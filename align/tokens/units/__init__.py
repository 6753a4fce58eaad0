"""Units: what lies behind a recording's frames, learned by predicting masked tokens from their context (torch).

Not imported by ``align.tokens``: whoever wants units says ``from align.tokens.units.model import fit_units``.
"""
