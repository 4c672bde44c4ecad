"""How long a text is: in words, or in the tokens of a registered base model."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from labeling.errors import RecipeRefused
from labeling.models import Tokenizer

WORDS = "words"


def register_tokenizer(*, name: str, path: Path) -> Tokenizer | None:
    """Make the tokenizer of a base model known to recipes; None where the folder has no tokenizer.json."""
    file = path / "tokenizer.json"
    if not file.is_file():
        return None
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Tokenizer.objects.update_or_create(name=name, defaults={"path": str(file), "sha256": digest})[0]


def counter(name: str) -> Callable[[list[str]], list[int]]:
    """What counts the tokens of texts. Raises RecipeRefused where the tokenizer is unknown or is not what it was."""
    if name == WORDS:
        return lambda texts: [len(text.split()) for text in texts]
    known = Tokenizer.objects.filter(name=name).first()
    if known is None:
        names = ", ".join([WORDS, *Tokenizer.objects.order_by("name").values_list("name", flat=True)])
        raise RecipeRefused(f"tokenizer is {name!r}; choose one of {names}.")
    try:
        from tokenizers import Tokenizer as Fast
    except ImportError as error:
        raise RecipeRefused(
            f"Counting in tokens of {name} needs the `train` extra; install it, or count in words."
        ) from error
    try:
        content = Path(known.path).read_bytes()
    except OSError as error:
        raise RecipeRefused(
            f"The tokenizer of {name} cannot be read ({error.strerror}); register it again."
        ) from error
    if hashlib.sha256(content).hexdigest() != known.sha256:
        raise RecipeRefused(f"The tokenizer of {name} was changed on disk; register the base model again.")
    fast = Fast.from_buffer(content)
    fast.no_truncation()
    return lambda texts: [len(each.ids) for each in fast.encode_batch(texts, add_special_tokens=False)]
