"""How alike two texts are, by words; signatures against the sets they stand for."""

import random
from pathlib import Path

import numpy as np
import pytest

from labeling.curation.similarity import (
    HASHES,
    Known,
    SignatureFile,
    jaccard,
    ngrams,
    shingles,
    signatures,
    words_of,
)


def changed(words: list[str], chance: random.Random, share: float) -> str:
    return " ".join(f"other{chance.random()}" if chance.random() < share else word for word in words)


def test_words_are_those_that_people_read() -> None:
    assert words_of("What's  UP, Doc?\n") == ["what", "s", "up", "doc"]
    assert words_of("ＦＵＬＬ Straße") == ["full", "strasse"]
    assert words_of("猫が好き ok") == ["猫", "が", "好", "き", "ok"]
    assert words_of("!?") == []


def test_case_and_punctuation_do_not_count_and_order_does() -> None:
    assert jaccard(shingles("Is A better than B?"), shingles("is a better than b")) == 1
    assert jaccard(shingles("Is A better than B?"), shingles("Is B better than A?")) < 0.5


def test_signatures_estimate_the_jaccard_similarity() -> None:
    """Seeded: 400 pairs of all similarities; errors no larger than 64 hashes allow."""
    chance = random.Random(1)
    errors = []
    for _ in range(400):
        words = [f"w{chance.randrange(5000)}" for _ in range(chance.randint(5, 80))]
        one, two = " ".join(words), changed(words, chance, chance.random() * 0.5)
        first, second = signatures([one, two])
        true = jaccard(shingles(one), shingles(two))
        errors.append(float(np.mean(first == second)) - true)
    assert abs(np.mean(errors)) < 0.01
    assert np.std(errors) < 1.2 * np.sqrt(0.25 / HASHES)


def test_a_signature_is_the_same_in_every_batch_and_process() -> None:
    texts = [f"text number {n} " * (n % 5) for n in range(50)]
    whole = signatures(texts)
    assert all((signatures([text])[0] == row).all() for text, row in zip(texts, whole, strict=True))
    assert whole[1].tolist()[:3] == [359016196, 23498077, 811760213]


@pytest.mark.parametrize("others", [0, 3000])
def test_near_duplicates_are_joined_and_others_stay_alone(tmp_path: Path, others: int) -> None:
    chance = random.Random(2)
    words = [f"w{n}" for n in range(8000)]
    families = [chance.sample(words, 40) for _ in range(100)]
    texts = [" ".join(family) for family in families]
    texts += [" ".join([*family[:20], "new", *family[20:]]) for family in families]
    texts += [" ".join(chance.sample(words, 40)) for _ in range(others)]
    file = SignatureFile(tmp_path / "signatures")
    for text in texts:
        file.add(text)
    found = file.clusters(0.8).tolist()
    file.close()
    assert found == [*range(100), *range(100), *range(200, 200 + others)]
    assert not (tmp_path / "signatures").exists()


def test_none_and_one_text_have_no_company(tmp_path: Path) -> None:
    for count in (0, 1):
        file = SignatureFile(tmp_path / str(count))
        for _ in range(count):
            file.add("alone")
        assert file.clusters(0.8).tolist() == [0] * count
        file.close()


def test_thirteen_words_in_a_row_are_found_wherever_they_stand() -> None:
    run = "one two three four five six seven eight nine ten eleven twelve thirteen"
    known = Known([f"Before it {run} and after."], 0.8)
    assert known.shares_run(f"Something else, then: {run.upper()}!")
    assert not known.shares_run(run.rsplit(" ", 1)[0])
    assert len(ngrams(run)) == 1
    assert len(ngrams("too short")) == 0


def test_known_texts_are_recognised_when_nearly_the_same_and_only_then() -> None:
    text = "Tell me which of these two answers is the better one and say why you think so"
    known = Known([text, "Something else"], 0.8)
    asked = [text.upper() + "!!", text + " now", "Tell me which answer is better", ""]
    assert list(known.near(asked)) == [True, True, False, False]
    assert list(Known([], 0.8).near(["x"])) == [False]
