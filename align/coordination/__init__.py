"""Streams and notes -> one space (torch): ``training.py`` is the story, ``bundle.py`` the model on disk."""

from align.coordination.bundle import Coordination, bundle_files, load_coordination
from align.coordination.plan import TrainingPlan
from align.coordination.training import fit_coordination

__all__ = ["Coordination", "TrainingPlan", "bundle_files", "fit_coordination", "load_coordination"]
