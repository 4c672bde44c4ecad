"""The categories with which a project begins. Those of spans follow RAGTruth (Niu et al. 2024, section 3.2): a conflict
contradicts a chunk, baseless information is in none; evident ones are plain, subtle ones take a second reading."""

STARTERS: tuple[dict[str, str], ...] = (
    {
        "key": "evident_conflict",
        "name": "Evident conflict",
        "words": "Contradicts a chunk outright: another number, name or the opposite.",
        "scope": "span",
        "stage": "grounding",
    },
    {
        "key": "subtle_conflict",
        "name": "Subtle conflict",
        "words": "Departs from what a chunk says so that the meaning changes.",
        "scope": "span",
        "stage": "grounding",
    },
    {
        "key": "evident_baseless",
        "name": "Evident baseless information",
        "words": "Stands in no chunk, and is stated as a fact.",
        "scope": "span",
        "stage": "grounding",
    },
    {
        "key": "subtle_baseless",
        "name": "Subtle baseless information",
        "words": "Goes beyond the chunks by what somebody might infer or feel.",
        "scope": "span",
        "stage": "grounding",
    },
    {
        "key": "wrong_citation",
        "name": "Wrong citation",
        "words": "Names a source that does not say it.",
        "scope": "span",
        "stage": "grounding",
    },
    {
        "key": "missing_from_context",
        "name": "Missing from context",
        "words": "What the question needs stands in none of the chunks.",
        "scope": "answer",
        "stage": "retrieval",
    },
    {
        "key": "not_retrieved",
        "name": "Not retrieved",
        "words": "The collection has the passage, and it was not found.",
        "scope": "answer",
        "stage": "retrieval",
    },
    {
        "key": "ranked_out",
        "name": "Ranked out",
        "words": "The passage was found, and stood too low to be used.",
        "scope": "answer",
        "stage": "ranking",
    },
    {
        "key": "incomplete",
        "name": "Incomplete",
        "words": "The chunks say more that the question asks for.",
        "scope": "answer",
        "stage": "instruction",
    },
    {
        "key": "wrong_format",
        "name": "Wrong format",
        "words": "Not in the form, length or language that was asked for.",
        "scope": "answer",
        "stage": "instruction",
    },
    {
        "key": "over_refusal",
        "name": "Over-refusal",
        "words": "Declines, although the chunks hold the answer.",
        "scope": "answer",
        "stage": "instruction",
    },
    {
        "key": "mislabelled_gold",
        "name": "Mislabelled known answer",
        "words": "The answer is right; what it was compared with is wrong.",
        "scope": "answer",
        "stage": "gold",
    },
)
