"""The live engine: rows and notes in as they come, events out; killed and brought back, it goes on as if nothing was.

engine.py is the story (``Monitor``): lane.py is one stream (arrivals, segments, missing channels, tokens), watching.py
the model's window over all streams with linking.py (notes) and phrases.py (watched phrases), checkpoint.py the file.
"""

from align.monitor.engine import Monitor
from align.monitor.watching import WatchSettings
from align.segmentation.live_events import Event, StreamSettings

__all__ = ["Event", "Monitor", "StreamSettings", "WatchSettings"]
