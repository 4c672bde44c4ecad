"""What jobs that ask engines have in common: a folder in which questions and answers are files."""

from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.db import models

from labeling.lifecycle import Lifecycle


class AskingJob(Lifecycle):
    """A job whose questions and answers stand in a folder of its own."""

    place: ClassVar[str] = "evaluations"

    folder = models.CharField(max_length=200)

    class Meta:
        abstract = True

    @property
    def path(self) -> Path:
        return Path(settings.PREFLOOP_VAR) / self.place / self.folder
