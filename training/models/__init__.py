from training.models.devices import Device
from training.models.registry import BaseModel, Checkpoint
from training.models.runs import RunEvent, TrainingRun
from training.models.selections import Selection

__all__ = ["BaseModel", "Checkpoint", "Device", "RunEvent", "Selection", "TrainingRun"]
