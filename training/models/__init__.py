from training.models.registry import BaseModel, Checkpoint
from training.models.runs import RunEvent, TrainingRun

__all__ = ["BaseModel", "Checkpoint", "RunEvent", "TrainingRun"]
