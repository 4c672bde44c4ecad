"""The engine that needs no model, for tests of what stands above engines."""

from evaluation.engines.fake import FakeEngine

__all__ = ["FakeEngine"]
