"""The page for everybody: by keyboard, by name, in either colour scheme, on a small screen, with a key, in trouble."""

from __future__ import annotations

from pathlib import Path

import pytest

from semconv.artifacts import Run
from semconv.config import ServeSettings
from serve.keys import add
from tests.e2e.browser import Browser, Tab
from tests.e2e.local_service import listening, local_api
from tests.e2e.page.shop import TITLES, Shop, open_shop

FOCUSABLE = {"button", "link", "textbox", "searchbox", "spinbutton"}
CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parsed = (text) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parsed(getComputedStyle(node).backgroundColor);
      if (colour[3]) return colour;
    }
  };
  const ratios = [];
  for (const node of document.body.querySelectorAll("*")) {
    const own = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!own || !node.checkVisibility() || node.closest(".unseen, noscript")) continue;
    const pair = [parsed(getComputedStyle(node).color), behind(node)].map(light).sort((a, b) => b - a);
    ratios.push([(pair[0] + 0.05) / (pair[1] + 0.05), node.outerHTML.slice(0, 80)]);
  }
  return ratios;
})()
"""
"""The contrast of each text with what lies behind it, as WCAG 2.2 reckons it."""


@pytest.fixture
def busy(tab: Tab, shop: Shop) -> Tab:
    """The page with everything on it that it can show at once."""
    shop.look_at(tab, user=shop.users[50], exclude="i7", k="5")
    tab.fill("#query", "serum")
    tab.until("document.querySelectorAll('#found li').length")
    tab.click("#list [data-act=why]")
    tab.says("#list .why", "Answered in")
    tab.fill("#user", shop.users[51])
    tab.until(
        f"location.hash.startsWith('#user={shop.users[51]}') && document.querySelector('#list').ariaBusy === 'false'"
    )
    tab.click("#list [data-act=leave]")
    tab.until("document.querySelector('#excluded button') && document.querySelector('#list').ariaBusy === 'false'")
    tab.click("#list [data-act=why]")
    tab.says("#list .why", "Answered in")
    return tab


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_what_is_behind_it(busy: Tab, dark: bool) -> None:
    busy.size(1280, 1100, dark=dark)
    busy.picture("dark" if dark else "light")
    ratios = busy.run(CONTRAST)
    assert len(ratios) > 50
    busy.click(TITLES)
    busy.until("document.querySelector('#item .path')")
    busy.picture("item-dark" if dark else "item-light")
    assert [pair for pair in ratios + busy.run(CONTRAST) if pair[0] < 4.5] == []


def test_everything_that_can_be_used_has_a_name(busy: Tab) -> None:
    nodes = busy.call("Accessibility.getFullAXTree")["nodes"]
    used = [node for node in nodes if not node["ignored"] and node["role"]["value"] in FOCUSABLE]
    assert len(used) > 30
    assert [node for node in used if not node["name"]["value"].strip()] == []
    landmarks = {node["role"]["value"] for node in nodes if not node["ignored"]}
    assert {"main", "banner", "navigation", "region", "search", "status"} <= landmarks


def test_a_narrow_screen_shows_all_without_scrolling_sideways(busy: Tab) -> None:
    busy.size(360, 800)
    busy.picture("narrow")
    assert busy.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    small = (
        "[...document.querySelectorAll('button, .button, input, .chips a')].filter((one) => one.checkVisibility())"
        ".map((one) => [one.getBoundingClientRect().height, one.outerHTML]).filter(([height]) => height < 24)"
    )
    assert busy.run(small) == []
    busy.click(TITLES)
    busy.until("document.querySelector('#item .path')")
    busy.picture("narrow-item")
    assert busy.run("document.querySelector('#item').scrollWidth <= document.querySelector('#item').clientWidth")


def test_nothing_moves_for_those_who_want_it_still(busy: Tab) -> None:
    assert busy.run("document.getAnimations().length") == 0


def test_the_keyboard_alone_does_all_of_it(tab: Tab, shop: Shop) -> None:
    def go_to(selector: str) -> None:
        for _ in range(120):
            if tab.run(f"document.activeElement.matches({selector!r})"):
                return
            tab.press("Tab")
        raise AssertionError(f"never reached: {selector}")

    tab.open(shop.url + "/")
    tab.until("document.querySelector('#users a')")
    go_to("#user")
    tab.type(shop.users[60])
    tab.press("Enter")
    tab.says("#list-said", "there and back")
    tab.press("Tab", shift=True)
    tab.press("Tab", shift=True)
    assert tab.run("document.activeElement.id") == "skip"
    tab.press("Enter")
    assert tab.run("document.activeElement.id") == "list-title"
    go_to("[data-act=why]")
    tab.press(" ")
    tab.says("#list .why", "Answered in")
    before = tab.texts(TITLES)
    go_to("[data-act=leave]")
    tab.press("Enter")
    tab.until("document.querySelector('#excluded button') && document.querySelector('#list').ariaBusy === 'false'")
    assert tab.texts(TITLES) == shop.titles(shop.users[60], exclude=tab.run("location.hash.split('exclude=')[1]"))
    assert tab.texts(TITLES)[0] == before[1]
    assert tab.run("document.activeElement === document.querySelector('#list li:first-child [data-act=leave]')")
    go_to("#list li:nth-child(2) [data-act=look]")
    tab.press("Enter")
    tab.until("document.querySelector('#item .path')")
    assert tab.run("document.activeElement.id") == "item-title"
    tab.press("Escape")
    tab.until("!document.querySelector('#item').open")
    assert tab.run("document.activeElement === document.querySelector('#list li:nth-child(2) [data-act=look]')")


def test_a_key_is_asked_for_when_the_service_wants_one_and_stays_in_the_tab(
    chromium: Browser, tiny_run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    key = add(file, "page", ("read",))
    settings = ServeSettings(keys=str(file))
    with local_api(tiny_run, tmp_path, settings) as (api, _), listening(api) as locked, chromium.tab() as tab:
        tab.open(locked + "/#user=u10&item=i1")
        tab.until("document.querySelector('#key').open && document.querySelector('#item').open")
        assert tab.run("document.activeElement.id") == "key-value"
        tab.picture("key")
        tab.type("semconv_wrong")
        tab.press("Enter")
        tab.says("#key-said", "does not know this key")
        tab.until("document.querySelector('#key').open")
        tab.fill("#key-value", key)
        tab.says("#list-said", "there and back")
        assert not tab.run("document.querySelector('#key').open")
        tab.until("document.querySelector('#item .path')")
        assert tab.run("Object.values(sessionStorage)") == [key]
        assert tab.run("localStorage.length") == 0
        assert key not in tab.run("document.cookie + location.href + document.documentElement.outerHTML")
        tab.open("about:blank")
        tab.open(locked + "/#user=u10")
        tab.says("#list-said", "there and back")
        tab.click(TITLES)
        tab.click("#stock")
        tab.says("#item-said", "It lacks the scope 'admin'")


def test_a_service_that_is_gone_is_said_to_be(chromium: Browser, tiny_run: Run, tmp_path: Path) -> None:
    with chromium.tab() as tab:
        with open_shop(tiny_run, tmp_path, ServeSettings()) as shop:
            shop.look_at(tab, user=shop.users[0])
        tab.fill("#user", "u2")
        tab.says("#list-said", "The service gave no answer")
