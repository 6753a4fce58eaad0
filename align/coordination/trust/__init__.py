"""How sure a model may be: held-out people, planted notes, durations."""
