from training.models.devices import Device
from training.models.merges import Measurement, Merge
from training.models.pipelines import Pipeline, PipelineStep
from training.models.preflights import Preflight
from training.models.registry import BaseModel, Checkpoint, CheckpointNote, StageChange
from training.models.retrainings import Retraining
from training.models.runs import RunEvent, TrainingRun
from training.models.selections import Selection

__all__ = [
    "BaseModel",
    "Checkpoint",
    "CheckpointNote",
    "Device",
    "Measurement",
    "Merge",
    "Pipeline",
    "PipelineStep",
    "Preflight",
    "Retraining",
    "RunEvent",
    "Selection",
    "StageChange",
    "TrainingRun",
]
