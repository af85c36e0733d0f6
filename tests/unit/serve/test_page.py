"""The page's files: all there, all its own, and none that turns data into markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from serve import page

FILES = {path: response.body.decode() for path, response in page.files().items()}
MODULES = {path: text for path, text in FILES.items() if path.endswith(".js")}


class Markup(HTMLParser):
    """Tags with their attributes, and the ids among them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.feed(FILES["/"])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]


MARKUP = Markup()


def test_the_page_and_its_files_are_answered_with_their_types_and_a_policy_that_lets_nothing_else_in() -> None:
    found = page.respond("/")
    assert found is not None
    assert found.content_type == b"text/html; charset=utf-8"
    assert found.body.startswith(b"<!doctype html>")
    types = {path.rpartition(".")[2]: response.content_type for path, response in page.files().items() if path != "/"}
    assert types == {
        "js": b"text/javascript; charset=utf-8",
        "css": b"text/css; charset=utf-8",
        "svg": b"image/svg+xml",
    }
    for response in page.files().values():
        policy = dict(response.headers)[b"content-security-policy"].decode()
        rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == rules["frame-ancestors"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path", ["", "/page", "/page/", "/page/index.html", "/page/../page.py", "/page/..%2Fpage.py", "/page/app.js/", "//"]
)
def test_there_is_nothing_else(path: str) -> None:
    assert page.respond(path) is None


def test_what_the_page_names_is_there_and_its_own() -> None:
    named = {value for _, attributes in MARKUP.tags for name, value in attributes.items() if name in ("href", "src")}
    files = {value for value in named if value and value.startswith("page/")}
    assert {f"/{file}" for file in files} == FILES.keys() - {"/"}
    assert named - files == {"docs", "#history="}
    for text in FILES.values():
        outside = set(re.findall(r"https?://[^\"' ]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not outside
        assert "@import" not in text


def test_every_module_imports_what_another_one_exports() -> None:
    for text in MODULES.values():
        for names, source in re.findall(r"import (.+?) from \"\./(.+?)\";", text, re.DOTALL):
            exported = set(re.findall(r"export (?:async )?(?:function|const|class) (\w+)", FILES[f"/page/{source}"]))
            wanted = {name.split(" as ")[0].strip() for name in names.strip("{} ").split(",")} - {""}
            assert names.startswith("* as ") or wanted <= exported, (source, wanted - exported)


def test_every_element_that_a_module_looks_for_is_in_the_page_once() -> None:
    made = set(re.findall(r"\bid: \"([\w-]+)\"", "".join(MODULES.values())))
    wanted = set(re.findall(r"\bfind\(\"([\w-]+)\"\)", "".join(MODULES.values())))
    assert wanted <= {*MARKUP.ids, *made}
    assert len(MARKUP.ids) == len(set(MARKUP.ids))


def test_no_text_can_become_markup_or_code() -> None:
    for path, text in MODULES.items():
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc", text
        ), path
    for tag, attributes in MARKUP.tags:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag


def test_every_field_has_a_label_and_every_part_a_name() -> None:
    inside = re.findall(r"<label[^>]*>(?:(?!</label>).)*?<input", FILES["/"], re.DOTALL)
    assert len(inside) == sum(tag == "input" for tag, _ in MARKUP.tags)
    for tag, attributes in MARKUP.tags:
        if tag in ("section", "dialog", "nav"):
            assert {"aria-label", "aria-labelledby"} & attributes.keys(), (tag, attributes)
        if label := attributes.get("aria-labelledby"):
            assert label in MARKUP.ids


def test_the_page_is_small() -> None:
    assert sum(map(len, FILES.values())) < 64 * 1024
