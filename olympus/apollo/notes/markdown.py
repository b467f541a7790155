"""How a note looks: CommonMark with tables, strikethrough and `[[links]]`, then sanitised. The home of both vendors.

Links of the form `[[path]]`, `[[path|words]]` and `[[path#part]]` are those of wikis.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from html import escape
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

PAGE: Final = "/notes/"
FILES: Final = "/api/v1/note-files/"

Resolve: TypeAlias = Callable[[str], str | None]
"""The path of the note that a link means; None where there is none."""

_MAX_RENDERED: Final = 256 * 1024
_LINK: Final = re.compile(r"\[\[([^\[\]|#\n]+)(#[^\[\]|\n]*)?(?:\|([^\[\]\n]+))?\]\]")
_RESOLVE: Final = "resolve"
_FOLDER: Final = "folder"
# fmt: off
_TAGS: Final = frozenset((
    "a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "h1",
    "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s",
    "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "tr",
    "ul", "var",
))
# fmt: on
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "details": {"open"},
    **{f"h{level}": {"id"} for level in range(1, 7)},
}
_CLASSES: Final = {"a": {"missing"}, "th": {"left", "right", "center"}, "td": {"left", "right", "center"}}
_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_TURNING: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def html_of(body: str, folder: str, resolve: Resolve) -> str:
    """HTML that may stand in a page; a text that is very long stands as it is written.

    body: without its head; folder: of the note, with its `/`
    """
    if len(body) > _MAX_RENDERED:
        return f"<pre>{escape(_visible(body))}</pre>"
    made = _parser().render(_visible(body), {_RESOLVE: resolve, _FOLDER: folder})
    return nh3.clean(
        made,
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        allowed_classes={tag: set(names) for tag, names in _CLASSES.items()},
        url_schemes=set(_SCHEMES),
        # No name of a note's may stand for one of the page's own.
        id_prefix="note-",
        link_rel="noopener noreferrer",
    )


def links_of(body: str) -> tuple[str, ...]:
    """What `[[…]]` names outside code, each once, in order."""
    return tuple(dict.fromkeys(_targets(_parser().parse(body, {})))) if "[[" in body else ()


def _targets(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "note_link":
            yield token.meta["target"]
        if token.children:
            yield from _targets(token.children)


def _visible(text: str) -> str:
    """Control characters, and those that turn the direction of text, shown as what they are."""
    return "".join(
        f"\\u{ord(one):04x}"
        if one in _TURNING or (unicodedata.category(one) == "Cc" and one not in "\n\t\r")
        else one
        for one in text
    )


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    made.inline.ruler.before("link", "note_link", _note_link)
    made.add_render_rule("note_link", _render_note_link)
    made.add_render_rule("link_open", _render_link)
    made.add_render_rule("image", _render_image)
    made.add_render_rule("heading_open", _render_heading)
    for cell in ("th_open", "td_open"):
        made.add_render_rule(cell, _render_cell)
    return made


def _note_link(state: StateInline, silent: bool) -> bool:
    found = _LINK.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        token = state.push("note_link", "", 0)
        token.meta = {"target": found[1].strip(), "part": found[2] or "", "words": (found[3] or "").strip()}
    state.pos = found.end()
    return True


def _render_note_link(self: RendererHTML, tokens: list[Token], at: int, _options: Any, env: Any) -> str:
    meta = tokens[at].meta
    path = env[_RESOLVE](meta["target"])
    missing = "" if path is not None else ' class="missing"'
    part = f"#note-{slug(meta['part'][1:])}" if meta["part"] else ""
    words = escape(meta["words"] or meta["target"] + meta["part"])
    return f'<a href="{PAGE}{quote(path or meta["target"])}{part}"{missing}>{words}</a>'


def _render_link(self: RendererHTML, tokens: list[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    href = str(token.attrGet("href") or "")
    inside = _inside(href, env[_FOLDER])
    if inside is not None:
        path, part = inside
        is_note = path.endswith(".md")
        token.attrSet("href", (PAGE + path[:-3] if is_note else FILES + path) + part)
    return self.renderToken(tokens, at, options, env)


def _render_image(self: RendererHTML, tokens: list[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    inside = _inside(str(token.attrGet("src") or ""), env[_FOLDER])
    if inside is not None:
        token.attrSet("src", FILES + inside[0])
    return self.image(tokens, at, options, env)


def _inside(url: str, folder: str) -> tuple[str, str] | None:
    """What a relative link means in the repository, and its fragment; None where it leads elsewhere."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or not parts.path or parts.path.startswith("/"):
        return None
    path = posixpath.normpath(folder + parts.path)
    return None if path.startswith("..") else (path, f"#{parts.fragment}" if parts.fragment else "")


def _render_heading(self: RendererHTML, tokens: list[Token], at: int, options: Any, env: Any) -> str:
    name = slug(tokens[at + 1].content)
    seen: dict[str, int] = env.setdefault("slugs", {})
    seen[name] = number = seen.get(name, 0) + 1
    tokens[at].attrSet("id", name if number == 1 else f"{name}-{number}")
    return self.renderToken(tokens, at, options, env)


def _render_cell(self: RendererHTML, tokens: list[Token], at: int, options: Any, env: Any) -> str:
    style = str(tokens[at].attrs.pop("style", ""))
    if style:
        # No style passes the page's policy.
        tokens[at].attrSet("class", style.removeprefix("text-align:"))
    return self.renderToken(tokens, at, options, env)


def slug(text: str) -> str:
    """The name of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") or "part"
