from evaluation.engines.protocol import Engine, Interrupted, ScoreAnswer, ScoreRequest
from evaluation.engines.transformers import TransformersEngine

ENGINES: dict[str, type[Engine]] = {"transformers": TransformersEngine}

__all__ = ["ENGINES", "Engine", "Interrupted", "ScoreAnswer", "ScoreRequest"]
