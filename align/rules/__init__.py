"""What to watch a live stream for: phrases, patterns of tokens, silence; a small TOML file (reading.py).

records.py holds the rules, judge.py turns a monitor's events into alerts.
"""

from align.rules.judge import Judge
from align.rules.reading import read_rules
from align.rules.records import PatternRule, PhraseRule, Rules, SilenceRule

__all__ = ["Judge", "PatternRule", "PhraseRule", "Rules", "SilenceRule", "read_rules"]
