from training.models.merges import Measurement, Merge
from training.models.registry import BaseModel, Checkpoint, CheckpointNote, StageChange
from training.models.runs import RunEvent, TrainingRun
from training.models.selections import Selection

__all__ = [
    "BaseModel",
    "Checkpoint",
    "CheckpointNote",
    "Measurement",
    "Merge",
    "RunEvent",
    "Selection",
    "StageChange",
    "TrainingRun",
]
