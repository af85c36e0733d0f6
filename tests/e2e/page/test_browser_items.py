"""Items as a person looks at them: neighbours, code path, stock; and titles that would rather be markup."""

from __future__ import annotations

import json

from tests.e2e.browser import Tab
from tests.e2e.page.shop import TITLES, Shop, named


def test_an_item_is_shown_with_its_code_path_and_neighbours_and_leads_to_them(tab: Tab, shop: Shop) -> None:
    shop.look_at(tab, user=shop.users[30])
    first = shop.get("users", shop.users[30], "recommendations")["items"][0]
    tab.click(TITLES)
    tab.until("document.querySelectorAll('#item .path li').length > 0")
    item = shop.get("items", first["item_id"])
    assert tab.text("#item-title") == named(item)
    assert tab.texts("#item .path li") == [str(code) for code in item["codes"]]
    neighbours = shop.get("items", first["item_id"], "similar", k=8)["items"]
    assert tab.texts("#item .rows a") == [named(one) for one in neighbours]
    tab.picture("item")
    tab.click("#item .rows a")
    tab.says("#item-title", named(neighbours[0]))
    tab.press("Escape")
    tab.until(f"!document.querySelector('#item').open && location.hash === '#user={shop.users[30]}'")
    tab.run("history.back()")
    tab.until("document.querySelector('#item').open")


def test_an_item_out_of_stock_leaves_the_list_at_once_and_comes_back(tab: Tab, shop: Shop) -> None:
    user = shop.users[31]
    shop.look_at(tab, user=user)
    before = tab.texts(TITLES)
    tab.click(TITLES)
    tab.click("#stock")
    tab.says("#item-said", "Marked out of stock")
    assert tab.run("document.activeElement.id") == "stock"
    first = f"document.querySelector({json.dumps(TITLES)}).innerText === {json.dumps(before[0])}"
    tab.until(f"!({first})")
    assert before[0] not in tab.texts(TITLES)
    tab.click("#stock")
    tab.says("#item-said", "Back in stock")
    tab.until(first)
    assert tab.texts(TITLES) == before


def test_a_brand_or_category_of_an_item_steers_and_the_item_can_be_left_out(tab: Tab, shop: Shop) -> None:
    user = shop.users[32]
    first = shop.get("users", user, "recommendations")["items"][0]["item_id"]
    category = shop.get("items", first)["categories"][-1]
    shop.look_at(tab, user=user, item=first)
    tab.until("document.querySelectorAll('#item dd a').length")
    tab.click("#item dd a[href*='category']:last-of-type")
    tab.until("!document.querySelector('#item').open && document.querySelector('#list').ariaBusy === 'false'")
    assert tab.run("document.querySelector('#steer').elements.category.value") == category
    assert tab.texts(TITLES) == shop.titles(user, category=category)


def test_a_title_that_is_markup_is_shown_as_it_is_written(tab: Tab, shop: Shop) -> None:
    user = shop.users[33]
    item = shop.get("users", user, "recommendations")["items"][0]["item_id"]
    title = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script> & more"
    said = {name: shop.get("items", item)[name] for name in ("title", "brand", "categories")}
    shop.http.put(f"/v1/items/{item}", json={"title": title, "brand": "<b>bold</b>"}).raise_for_status()
    try:
        shop.look_at(tab, user=user)
        assert title in tab.texts(TITLES)
        tab.open(f"{shop.url}/#user={user}&item={item}")
        tab.says("#item-title", title)
        tab.says("#item-body", "<b>bold</b>")
        assert tab.run("document.querySelectorAll('dialog b, dialog img').length") == 0
        tab.press("Escape")
        tab.fill("#query", item)
        tab.until("document.querySelector('#found a')")
        assert tab.texts("#found a")[0] == title
        assert tab.run("document.querySelectorAll('main img, main b, script:not([src])').length") == 0
        assert "taken" not in tab.run("document.title")
        tab.picture("markup")
    finally:
        shop.http.put(f"/v1/items/{item}", json={name: value for name, value in said.items() if value is not None})


def test_an_unknown_item_is_said_to_be(tab: Tab, shop: Shop) -> None:
    tab.open(f"{shop.url}/#item=nowhere")
    tab.says("#item-said", "The item is unknown")
    tab.forgive("status of 404")
