"""What was altered in rounds since: in each dataset version behind their runs, and behind the last look of their study.

As many queries for many rounds as for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from evaluation.models import Round
from evaluation.studies.looking import changed_behind
from labeling.curation.altering import Alteration, alterations_of, sentence
from labeling.models import DatasetVersion


@dataclass(frozen=True, slots=True)
class Stale:
    """What was altered in a round: of which of the versions that it rests on, and how many judgments behind its study's
    last look."""

    round: Round
    versions: list[DatasetVersion]
    altered: list[tuple[DatasetVersion, Alteration]]
    study: int

    @property
    def words(self) -> str:
        """All of it in sentences; empty where nothing was."""
        found = [
            sentence(
                [each for _, each in some], "it" if version == self.round.dataset_version else str(version)
            )
            for version, some in groupby(self.altered, key=lambda pair: pair[0])
        ]
        if self.study:
            was = "judgment was" if self.study == 1 else "judgments were"
            found.append(f"Since the study's last look: {self.study:,} {was} changed or withdrawn.")
        return " ".join(found)

    def as_list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [
            {"dataset_version": str(version), "kind": each.kind, "count": each.count}
            for version, each in self.altered
        ]
        if self.study:
            found.append({"dataset_version": None, "kind": "study", "count": self.study})
        return found


def stale_of(rounds: Sequence[Round]) -> dict[int, Stale]:
    """What was altered in each of these rounds, by its key."""
    behind = _versions(rounds)
    every = {version.pk: version for versions in behind.values() for version in versions}
    altered = alterations_of(list(every.values()))
    changed = changed_behind({each.study_id for each in rounds if each.study_id})
    return {
        each.pk: Stale(
            each,
            behind[each.pk],
            [(version, one) for version in behind[each.pk] for one in altered[version.pk]],
            changed.get(each.study_id or 0, 0),
        )
        for each in rounds
    }


def _versions(rounds: Sequence[Round]) -> dict[int, list[DatasetVersion]]:
    """The versions that each round rests on: its own first, then those of its runs and of their reward models."""
    found: dict[int, dict[int | None, None]] = {each.pk: {each.dataset_version_id: None} for each in rounds}
    rows = Round.runs.through.objects.filter(round__in=found).order_by("trainingrun_id")
    columns = ("round_id", "trainingrun__dataset_version_id", "trainingrun__reward__run__dataset_version_id")
    for key, *versions in rows.values_list(*columns):
        found[key].update(dict.fromkeys(versions))
    wanted = {version for versions in found.values() for version in versions if version}
    known = DatasetVersion.objects.select_related("project").defer("lint", "choice").in_bulk(wanted)
    return {key: [known[version] for version in versions if version] for key, versions in found.items()}
