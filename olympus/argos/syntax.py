"""What has to stand in a line for a pattern to match it, and in which other way a line may be read. Pure, no engine."""

from __future__ import annotations

from typing import Final

from olympus.argos.syntax_tree import ANY, Assertion, Chars, Choice, Group, Node, Ranges, Repeat, Row

_WIDEST: Final = 64
"""A repeat is counted up to here; what has more is looked at by the judge alone."""


def needed(node: Node) -> Node:
    """What a line has to have for `node` to match it, if not all: cut down at both ends.

    A search finds `x.*` where it finds `x`; and an engine that tells of every end would tell of each of them.
    """
    return _cut(_cut(_bounded(node), -1), 0)


def can_be_empty(node: Node) -> bool:
    """Whether it may match without a character."""
    match node:
        case Chars():
            return False
        case Assertion():
            return True
        case Row(items):
            return all(can_be_empty(one) for one in items)
        case Choice(items):
            return any(can_be_empty(one) for one in items)
        case Repeat(item, least):
            return not least or can_be_empty(item)
        case Group(item):
            return can_be_empty(item)


def names_in(node: Node) -> frozenset[str]:
    """The names of the groups in it."""
    match node:
        case Row(items) | Choice(items):
            return frozenset().union(*(names_in(one) for one in items))
        case Repeat(item):
            return names_in(item)
        case Group(item, name):
            return names_in(item) | ({name} if name else set())
    return frozenset()


def loosened(node: Node, guarded: frozenset[str]) -> Node | None:
    """`node`, with what stands before the last of the groups `guarded` as long as it can be; None: nothing does.

    `for (?P<user>\\S+) from (?P<ip>\\S+)` becomes `for (?P<user>.*) from (?P<ip>\\S+)`. Who may choose the user
    may write ` from 1.2.3.4` into it: where the two find different addresses, one of them may be forged.
    """
    changed, _ = _loosen(node, guarded, inside=False)
    return changed if changed != node else None


def written(node: Node, keep_names: frozenset[str] | None = None) -> str:
    """As RE2 and Hyperscan read it for many lines at once; groups are named only where `keep_names` has them."""
    match node:
        case Chars(ranges):
            return _class(ranges)
        case Assertion(text):
            return f"(?m:{text})" if text in "^$" else text
        case Row(items):
            return "".join(
                f"(?:{written(one, keep_names)})" if isinstance(one, Choice) else written(one, keep_names)
                for one in items
            )
        case Choice(items):
            return "|".join(written(one, keep_names) for one in items)
        case Repeat(item, least, most, lazy):
            inner = written(item, keep_names)
            if not isinstance(item, Chars | Group):
                inner = f"(?:{inner})"
            counts = {(0, None): "*", (1, None): "+", (0, 1): "?"}
            last = "" if most is None else most
            count = counts.get((least, most)) or (f"{{{least}}}" if least == most else f"{{{least},{last}}}")
            return inner + count + ("?" if lazy else "")
        case Group(item, name):
            kept = name and keep_names is not None and name in keep_names
            return f"({f'?P<{name}>' if kept else '?:'}{written(item, keep_names)})"


def _class(ranges: Ranges) -> str:
    if ranges == ANY.ranges:
        return r"[^\n]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _char(ranges[0][0])
    return f"[{''.join(_char(a) if a == b else f'{_char(a)}-{_char(b)}' for a, b in ranges)}]"


def _char(code: int) -> str:
    char = chr(code)
    return (
        char if char.isascii() and (char.isalnum() or char in " _/:;,@=<>%!'\"#&~`") else f"\\x{{{code:x}}}"
    )


def _cut(node: Node, end: int) -> Node:
    """Without what may be left out at the end (-1) or at the beginning (0)."""
    match node:
        case Row(items):
            kept = list(items)
            while kept:
                last = kept.pop(end)
                # A line's beginning or end that may be far away says nothing.
                if kept and isinstance(last, Assertion) and last.text == ("$" if end else "^"):
                    near = kept[end]
                    if isinstance(near, Repeat) and near.item == ANY and not near.least and near.most is None:
                        continue
                cut = _cut(last, end)
                if cut != Row(()):
                    kept.insert(len(kept) if end else 0, cut)
                    break
            return Row(tuple(kept))
        case Choice(items):
            return Choice(tuple(_cut(one, end) for one in items))
        case Repeat(item, least, most):
            if not least:
                return Row(())
            if least != most:
                return _cut(Row((item,) * least), end) if least < 3 else Repeat(item, least, least)
            return node
        case Group(item):
            inner = _cut(item, end)
            return inner if inner == Row(()) else Group(inner)
    return node


def _bounded(node: Node) -> Node:
    match node:
        case Row(items):
            return Row(tuple(_bounded(one) for one in items))
        case Choice(items):
            return Choice(tuple(_bounded(one) for one in items))
        case Group(item):
            return Group(_bounded(item))
        case Repeat(item, least, most):
            item = _bounded(item)
            wide = not isinstance(item, Chars)
            limit = 8 if wide else _WIDEST
            most = None if most is None or most > limit else most
            least = min(least, limit)
            return Repeat(item, least, most)
    return node


def _loosen(node: Node, guarded: frozenset[str], *, inside: bool) -> tuple[Node, bool]:
    """The node, and whether a guarded group is in it; from the last to the first, so that it is known what comes."""
    match node:
        case Group(item, name) if name in guarded:
            return node, True
        case Group(item, name):
            item, found = _loosen(item, guarded, inside=inside)
            return Group(item, name), found
        case Row(items):
            row: list[Node] = []
            found = False
            for one in reversed(items):
                changed, has = _loosen(one, guarded, inside=inside or found)
                found = found or has
                row.insert(0, changed)
            return Row(tuple(row)), found
        case Choice(items):
            both = [_loosen(one, guarded, inside=inside) for one in items]
            return Choice(tuple(one for one, _ in both)), any(has for _, has in both)
        case Repeat(item, least, most, lazy):
            if names_in(item) & guarded:
                return node, True
            many = most is None or most > 1
            if inside and many and isinstance(item, Chars) and _has_letters(item):
                return Repeat(ANY, least, None), False
            return (Repeat(item, least, most) if inside and lazy else node), False
    return node, False


def _has_letters(chars: Chars) -> bool:
    return any(a <= ord("z") and b >= ord("a") for a, b in chars.ranges)
