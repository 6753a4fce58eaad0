"""Streams and notes -> one space (torch): ``fitting.py`` is the story, ``bundle.py`` the model on disk."""

from align.coordination.bundle import Coordination, bundle_files
from align.coordination.fitting import fit_coordination
from align.coordination.loading import load_coordination
from align.coordination.plan import TrainingPlan

__all__ = ["Coordination", "TrainingPlan", "bundle_files", "fit_coordination", "load_coordination"]
