"""Message trees of Open-Assistant: every prompter message with its assistant replies is one item.

Ranks are the community's merged ranking, 0 the best; they become the judgment of one person, `open-assistant`.
Messages of a flat dump (one row a message) are put together to trees first, where a tree's rows follow each other.
"""

import math
from collections.abc import Iterator
from typing import Any, TypeGuard

from labeling.errors import RowRefused
from labeling.importing.fields import ROLES, Row, licence, optional, reference
from labeling.importing.judgments import order_label
from labeling.intake import ItemDraft, Message, ResponseDraft, VerdictDraft

LARGEST_TREE = 5000
FLAT = {"message_id", "message_tree_id", "parent_id", "text", "role"}

Numbered = tuple[int, Any | RowRefused]


def is_tree(row: Row) -> bool:
    return isinstance(row.get("prompt"), dict) and "replies" in row["prompt"]


def is_message(row: Any) -> TypeGuard[Row]:
    if not isinstance(row, dict) or not row.keys() >= FLAT:
        return False
    named = isinstance(row["message_id"], str) and isinstance(row["message_tree_id"], str)
    return named and (row["parent_id"] is None or isinstance(row["parent_id"], str))


def items(row: Row) -> list[ItemDraft]:
    """The items of a tree, in the order in which its messages are read, from the first prompt on."""
    if not is_tree(row):
        raise RowRefused("the row is not a message tree; give message_tree_id and prompt with its replies")
    found: list[ItemDraft] = []
    open_nodes: list[tuple[Any, list[Message]]] = [(row["prompt"], [])]
    while open_nodes:
        node, before = open_nodes.pop()
        path = [*before, _message(node)]
        replies = _replies(node)
        answers = [reply for reply in replies if _role(reply) == "assistant"]
        if path[-1]["role"] == "user" and answers:
            found.append(_item(row, node, path, answers))
        open_nodes.extend((reply, path) for reply in reversed(replies))
    return found


def _message(node: Row) -> Message:
    if not isinstance(node.get("text"), str):
        raise RowRefused(f"message {node.get('message_id')} of the tree has no text")
    return {"role": _role(node), "content": node["text"]}


def _role(node: Row) -> str:
    role = node.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise RowRefused(f"message {node.get('message_id')} has the role {role!r}; use prompter or assistant")
    return ROLES[role]


def _replies(node: Row) -> list[Row]:
    given = node.get("replies") or []
    if not isinstance(given, list) or not all(isinstance(reply, dict) for reply in given):
        raise RowRefused(f"replies of message {node.get('message_id')} must be a list of messages")
    return [reply for reply in given if reply.get("deleted") is not True]


def _item(row: Row, node: Row, path: list[Message], answers: list[Row]) -> ItemDraft:
    ranks = [_rank(answer.get("rank")) for answer in answers]
    extra: dict[str, Any] = {"lang": node["lang"]} if isinstance(node.get("lang"), str) else {}
    if None in ranks and ranks != [None] * len(ranks):
        extra["imported_ranks"] = ranks  # some replies came after the ranking: an order of all is not known
    return ItemDraft(
        messages=path,
        responses=[
            ResponseDraft(_message(answer)["content"], origin=optional(answer, "model_name"))
            for answer in answers
        ],
        source_ref=reference("oasst", node.get("message_id")),
        licence=licence(row, node),
        synthetic=any(message.get("synthetic") is True for message in (node, *answers)),
        extra=extra,
        verdicts=_verdicts(ranks),
    )


def _rank(value: Any) -> int | None:
    """A rank; tables write whole numbers as floats and nothing as NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return int(value)


def _verdicts(ranks: list[int | None]) -> list[VerdictDraft]:
    if None in ranks or len(ranks) < 2:
        return []
    levels = sorted({rank for rank in ranks if rank is not None})
    groups = [[position for position, rank in enumerate(ranks) if rank == level] for level in levels]
    return [VerdictDraft(person="open-assistant", kind="ranking", label=order_label(groups))]


def joined(rows: Iterator[Numbered]) -> Iterator[Numbered]:
    """The same rows, with the flat messages of each tree put together, at the number of the first of them."""
    tree: list[tuple[int, Row]] = []
    for number, row in rows:
        if is_message(row):
            if tree and (
                tree[0][1]["message_tree_id"] != row["message_tree_id"] or len(tree) >= LARGEST_TREE
            ):
                yield from _tree(tree)
                tree = []
            tree.append((number, row))
            continue
        yield from _tree(tree)
        tree = []
        yield number, row
    yield from _tree(tree)


def _tree(rows: list[tuple[int, Row]]) -> Iterator[Numbered]:
    """One tree, or for each message without its parent the reason why it has no place."""
    nodes = {row["message_id"]: {**row, "replies": []} for _, row in rows}
    root: Row | None = None
    for number, row in rows:
        node, parent = nodes[row["message_id"]], row["parent_id"]
        if parent is None and root is None:
            root = node
        elif parent in nodes and parent != row["message_id"]:
            nodes[parent]["replies"].append(node)
        else:
            yield (
                number,
                RowRefused(
                    f"the parent {parent} of message {row['message_id']} is not among the rows of its tree; "
                    "put the rows of each message_tree_id one after another"
                ),
            )
    if root is not None:
        yield rows[0][0], {"message_tree_id": root["message_tree_id"], "prompt": root}
