"""Engines by name: who answers a run's requests."""

from django.conf import settings

from evaluation.engines.openai import OpenAIEngine
from evaluation.engines.protocol import Engine, Interrupted
from evaluation.engines.transformers import TransformersEngine
from evaluation.engines.vllm import VllmEngine

ENGINES: dict[str, type[Engine]] = {
    engine.name: engine for engine in (TransformersEngine, VllmEngine, OpenAIEngine)
}


def default_engine() -> str:
    """Who answers for weights where nobody chose: vLLM where this installation has one."""
    return VllmEngine.name if settings.PREFLOOP_VLLM else TransformersEngine.name


__all__ = ["ENGINES", "Engine", "Interrupted", "default_engine"]
