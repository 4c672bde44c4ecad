"""Strict settings, and the one sentence in which a wrong one is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

Spec = TypeVar("Spec", bound=BaseModel)


class SpecRefused(ValueError):
    """A spec is not allowed; the message says what was given, what is allowed and what to do."""


class Strict(BaseModel):
    """Unknown fields, wrong types and later changes are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def parse(model: type[Spec], values: Mapping[str, Any]) -> Spec:
    """Validate any spec. Raises `SpecRefused` about the first thing that is wrong."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise SpecRefused(_sentence(model, error)) from None


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    field = model.model_fields.get(str(first["loc"][0])) if first["loc"] else None
    if first["type"] == "value_error":  # a rule of ours about several settings: it is a sentence already
        return str(first["ctx"]["error"])
    if first["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields) if len(first["loc"]) == 1 else "described in training/specs"
        return f"{path} is not a setting of {model.__name__}; the settings are {known}; remove it or correct its name"
    if first["type"] == "missing":
        return f"{path} was not given; {model.__name__} needs it, so add it"
    allowed = allowed_words(field) if field is not None and len(first["loc"]) == 1 else first["msg"]
    return f"{path} was given as {first['input']!r}; allowed is {allowed}; change it to such a value or leave it out"


def allowed_words(field: FieldInfo) -> str:
    """Return a field's type and bounds in words."""
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "true or false"
    bounds = []
    for limit in field.metadata:
        match limit:
            case Ge(ge=value):
                bounds.append(f"at least {value}")
            case Gt(gt=value):
                bounds.append(f"above {value}")
            case Le(le=value):
                bounds.append(f"at most {value}")
            case Lt(lt=value):
                bounds.append(f"below {value}")
            case MinLen() | MaxLen():
                bounds.append("of the right length")
    kinds = {int: "a whole number", float: "a number", str: "text"}
    kind = (
        kinds.get(field.annotation, "a value of the right kind")
        if isinstance(field.annotation, type)
        else "a value"
    )
    return " ".join([kind, " and ".join(bounds)]).strip()
