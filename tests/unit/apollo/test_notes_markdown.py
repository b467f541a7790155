"""How notes look: CommonMark, tables, links; and that nothing in a note runs, or leads where it should not."""

from __future__ import annotations

import re

import pytest

from olympus.apollo.notes.front_matter import read_head
from olympus.apollo.notes.markdown import html_of, links_of
from olympus.kernel.errors import Invalid

NOTES = {"team/web": "team/web", "b": "c d"}


def html(text: str, folder: str = "") -> str:
    return html_of(text, folder, NOTES.get)


def test_common_markdown_looks_as_people_expect():
    made = html(
        "# Über *x*\n\n- a\n- b\n\n|l|r|\n|:-|-:|\n|1|2|\n\n```sh\nls <x>\n```\n\n~~no~~ <kbd>q</kbd>\n\n## Über x\n"
    )
    for part in (
        '<h1 id="note-über-x">Über <em>x</em></h1>',
        "<li>a</li>",
        '<td class="right">2</td>',
        "ls &lt;x&gt;",
        "<s>no</s>",
        "<kbd>q</kbd>",
        '<h2 id="note-über-x-2">',
    ):
        assert part in made


def test_links_lead_to_notes_and_broken_ones_say_so():
    made = html("[[team/web]] [[b|words & <b>]] [[nope]] [[team/web#How To]] `[[code]]`\n\n    [[block]]\n")
    assert '<a href="/notes/team/web" rel="noopener noreferrer">team/web</a>' in made
    assert '<a href="/notes/c%20d" rel="noopener noreferrer">words &amp; &lt;b&gt;</a>' in made
    assert '<a href="/notes/nope" class="missing"' in made
    assert 'href="/notes/team/web#note-how-to"' in made
    assert "[[code]]" in made
    assert links_of("[[a]] [[a|x]] [[b c#d]] `[[no]]`\n\n```\n[[no]]\n```\n[[]] [[x\ny]]") == ("a", "b c")


def test_relative_links_and_pictures_are_those_of_the_repository():
    made = html(
        "![x](pics/a.png) [n](../other.md#part) [f](../a.pdf) [out](../../../etc) [abs](/x) ![e](https://h/x.png)",
        "team/sub/",
    )
    assert 'src="/api/v1/note-files/team/sub/pics/a.png"' in made
    assert 'href="/notes/team/other#part"' in made
    assert 'href="/api/v1/note-files/team/a.pdf"' in made
    assert 'href="../../../etc"' in made
    assert 'src="https://h/x.png"' in made


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&#58;alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "[x](vbscript:x)",
        "<a href='\tjavascript:alert(1)'>x</a>",
        "<svg><script>alert(1)</script></svg>",
        "<iframe src=//h></iframe>",
        "<div hx-get=/x data-hx-get=/y hx-on:click=z>x</div>",
        "<style>*{}</style>",
        "<p style='position:fixed'>x</p>",
        "<form action=/logout><button>x</button></form>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<base href=//h>",
        "<meta http-equiv=refresh content=0>",
        "[[x|<img src=x onerror=alert(1)>]]",
        '[[x" onmouseover="alert(1)]]',
        "[[javascript:alert(1)]]",
        "![x](javascript:alert(1))",
        "<h1 id=csrf name=csrf class=x>x</h1>",
        "<object data=x></object><embed src=x>",
        "<input autofocus onfocus=alert(1)>",
        "<details open ontoggle=alert(1)>",
        '`<script>`\n\n<https://h/"onclick=alert(1)>',
        '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    ],
)
def test_nothing_in_a_note_runs(text):
    made = html(text)
    tags = re.findall(r"<[^>]*>", made)
    for tag in tags:
        assert not re.match(
            r"</?(script|svg|iframe|style|form|button|math|base|meta|object|embed|input|noscript)\b",
            tag,
            re.I,
        ), made
        bare = re.sub(r'"[^"]*"', '""', tag)
        assert not re.search(r"\s(on\w+|style|hx-[\w:-]+|data-[\w-]+|name)\s*=", bare, re.I), made
        assert not re.search(r'(href|src)="\s*(javascript|data|vbscript):', tag, re.I), made
        assert 'id="csrf"' not in tag


def test_control_characters_and_turned_text_are_shown_as_what_they_are():
    made = html("a\x1b[31mred\x00 \u202eevil\u2066 👩\u200d💻\n")
    assert not set("\x1b\0\u202e\u2066") & set(made)
    assert "\\u001b[31mred\\u0000 \\u202eevil\\u2066 👩\u200d💻" in made


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "![" * 20_000,
        "*" * 50_000,
        "> " * 5_000 + "x",
        "[[" * 30_000,
        "a_" * 50_000,
        "<" * 50_000,
        "`" * 50_000 + "x",
    ],
)
def test_hostile_text_costs_little(text):
    """What takes a square of its length would not end before the test's time does."""
    assert html(text * 2)


def test_a_head_says_title_tags_and_review():
    head = read_head("a/b", "---\ntitle: T\ntags: [x, 1, x]\nreview: 2026-12-24\nother: y\n---\n# H\n")
    assert (head.title, head.tags, head.review, head.body) == ("T", ("x", "1"), "2026-12-24", "# H\n")
    assert read_head("a/b", "# H #\nx").title == "H"
    assert read_head("a/b", "x").title == "b"
    assert read_head("a/b", "x\n---\ny\n---\n").body.startswith("x")
    assert read_head("a", "---\n---\nx").body == "x"


@pytest.mark.parametrize(
    "head",
    ["tags: {a: b}", "review: soon", "- a", "a: !!python/object:os.system x", "a: &x [*x]", "[" * 5000],
)
def test_a_head_that_is_wrong_is_refused(head):
    with pytest.raises(Invalid):
        read_head("a", f"---\n{head}\n---\nx")
