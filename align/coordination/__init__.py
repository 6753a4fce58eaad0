"""Streams and notes -> one space (torch): ``fitting.py`` is the story, from sessions to a model.

``inputs/`` makes training examples of sessions, ``network/`` holds the two encoders, ``functions/`` and ``losses/``
what holds them to agree, ``weak/`` what notes without spans tell, ``training.py`` and ``loop/`` the training itself,
``trust/`` how sure the model may be, ``saved/`` the model on disk, ``uses/`` what it is asked.
"""

from align.coordination.fitting import fit_coordination
from align.coordination.plan import TrainingPlan
from align.coordination.saved.bundle import Coordination, bundle_files
from align.coordination.saved.loading import load_coordination

__all__ = ["Coordination", "TrainingPlan", "bundle_files", "fit_coordination", "load_coordination"]
