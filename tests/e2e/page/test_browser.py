"""Who, what they did, what they are recommended, from where and why; and how that changes, as a person sees it."""

from __future__ import annotations

import json

from tests.e2e.browser import Tab
from tests.e2e.page.shop import TITLES, Shop, named


def lists(tab: Tab, titles: list[str]) -> None:
    """Wait until the list shows these titles: the address changes before the list does."""
    shown = f"[...document.querySelectorAll({json.dumps(TITLES)})].map((one) => one.innerText)"
    tab.until(f"JSON.stringify({shown}) === JSON.stringify({json.dumps(titles)})")


def test_a_user_chosen_from_the_list_is_shown_with_history_source_latency_and_versions(tab: Tab, shop: Shop) -> None:
    tab.open(shop.url + "/")
    tab.until("document.querySelectorAll('#users a').length >= 12")
    assert tab.texts("#users a") == shop.users[:12]
    tab.picture("start")
    user = shop.users[2]
    tab.click("#users li:nth-child(3) a")
    tab.says("#list-said", "10 items from the cache in")
    assert tab.texts(TITLES) == shop.titles(user)
    answer = shop.get("users", user, "recommendations")
    for version in answer["versions"].values():
        assert version[:12] in tab.text("#versions")
    tab.until(f"document.querySelectorAll('#history li').length === {len(shop.get('users', user)['history'])}")
    newest_first = [named(item) for item in reversed(shop.get("users", user)["history"])]
    assert tab.texts("#history .what a") == newest_first[:12]
    assert tab.run("location.hash") == f"#user={user}"
    tab.says("#service", f"{shop.get('status')['users']} users")
    tab.picture("user")


def test_a_typed_user_is_shown_however_soon_enter_follows(tab: Tab, shop: Shop) -> None:
    user = shop.users[40]
    tab.open(shop.url + "/")
    tab.fill("#user", user)
    tab.says("#list-said", "there and back")
    assert tab.texts(TITLES) == shop.titles(user)


def test_only_the_newest_answer_is_shown(tab: Tab, shop: Shop) -> None:
    slow, quick = shop.users[5], shop.users[6]
    shop.look_at(tab, user=shop.users[4])
    shop.delayed.held, before = f"/users/{slow}", shop.delayed.answered
    tab.fill("#user", slow)
    tab.until("document.querySelector('#list').ariaBusy === 'true'")
    tab.fill("#user", quick)
    tab.until(f"document.querySelector('#list').ariaBusy === 'false' && location.hash === '#user={quick}'")
    assert tab.texts(TITLES) == shop.titles(quick)
    shop.delayed.held = ""
    while shop.delayed.answered < before + 2:
        tab.run("new Promise((done) => setTimeout(done, 20))")
    tab.run("new Promise((done) => setTimeout(done, 200))")
    assert tab.texts(TITLES) == shop.titles(quick)
    newest_first = [named(item) for item in reversed(shop.get("users", quick)["history"])]
    assert tab.texts("#history .what a") == newest_first[:12]


def test_an_event_changes_the_list_which_says_what_moved(tab: Tab, shop: Shop) -> None:
    user = shop.users[10]
    shop.look_at(tab, user=user)
    before = tab.texts(TITLES)
    item = shop.get("users", user, "recommendations")["items"][0]
    tab.fill("#query", item["item_id"])
    tab.says("#found li:first-child", named(item))
    tab.click("#found li:first-child button")
    tab.says("#history-said", "1 new since the snapshot")
    tab.says("#list-said", "the live model")
    after = tab.texts(TITLES)
    assert after == shop.titles(user)
    assert named(item) not in after
    moved = [place for place, title in enumerate(after) if title not in before or before.index(title) != place]
    marked = "[...document.querySelectorAll('#list > li')].flatMap((row, at) => row.querySelector('.move') ? [at] : [])"
    assert tab.run(marked) == moved
    assert tab.texts("#history li:first-child .what a") == [named(item)]
    tab.picture("event")
    tab.click("#who button")
    tab.says("#list-said", "the cache")
    assert tab.texts(TITLES) == after


def test_somebody_new_is_known_from_their_first_event_on(tab: Tab, shop: Shop) -> None:
    tab.open(shop.url + "/")
    tab.fill("#user", "nobody/new ü?")
    tab.says("#history-said", "Nobody of this id yet")
    tab.says("#list-said", "The user is unknown")
    tab.forgive("status of 404")
    tab.fill("#query", "i3")
    tab.click("#found button")
    tab.says("#list-said", "the live model")
    assert tab.texts(TITLES) == shop.titles("nobody/new ü?")


def test_words_filters_and_what_is_left_out_steer_the_list_and_stand_in_the_address(tab: Tab, shop: Shop) -> None:
    user = shop.users[20]
    shop.look_at(tab, user=user)
    first = shop.get("users", user, "recommendations")["items"][0]
    category = shop.get("items", first["item_id"])["categories"][-1]
    tab.fill("#steer [name=category]", category)
    tab.until("location.hash.includes('category')")
    lists(tab, shop.titles(user, category=category))
    tab.click("#list li:first-child [data-act=leave]")
    tab.says("#excluded", first["item_id"])
    left = shop.titles(user, category=category, exclude=first["item_id"])
    lists(tab, left)
    assert named(first) not in left
    tab.fill("#steer [name=k]", "3")
    tab.until(f"document.querySelectorAll({json.dumps(TITLES)}).length === {min(3, len(left))}")
    tab.picture("steered")
    linked = tab.run("location.href")
    tab.open("about:blank")
    tab.open(linked)
    tab.says("#list-said", "there and back")
    lists(tab, left[:3])
    assert tab.run("document.querySelector('#steer').elements.category.value") == category
    tab.click("#unsteer")
    tab.until(f"location.hash === '#user={user}'")
    lists(tab, shop.titles(user))
    tab.run("history.back()")
    tab.until("location.hash.includes('k=3') && document.querySelector('#steer').elements.k.value === '3'")


def test_a_wish_in_words_is_answered_live(tab: Tab, shop: Shop) -> None:
    user, wish = shop.users[21], "a serum"
    shop.look_at(tab, user=user)
    tab.fill("#steer [name=wish]", wish)
    tab.until("location.hash.includes('wish') && document.querySelector('#list').ariaBusy === 'false'")
    while "the live model" not in tab.text("#list-said"):  # the first wish has its reader opened
        tab.run("new Promise((done) => setTimeout(done, 200))")
        tab.click("#steer .main")
        tab.until("document.querySelector('#list').ariaBusy === 'false'")
    assert tab.texts(TITLES) == shop.titles(user, wish=wish)
    tab.click("#list li:first-child [data-act=why]")
    tab.says("#list li:first-child .why", "What it has of the wish")


def test_reasons_come_on_demand(tab: Tab, shop: Shop) -> None:
    user = shop.users[22]
    shop.look_at(tab, user=user)
    first = shop.get("users", user, "recommendations")["items"][0]["item_id"]
    assert not [url for url in tab.requests if "reasons" in url]
    tab.click("#list li:first-child [data-act=why]")
    tab.says("#list li:first-child .why", "What the history did")
    (reason,) = shop.get("users", user, "reasons", item=first)["reasons"]
    shown = tab.text("#list li:first-child .why")
    for source in reason["sources"]:
        assert source["source"].replace("_", " ") in shown
    assert named(reason["history"][0]) in shown
    assert tab.run("document.querySelector('#list [data-act=why]').ariaExpanded") == "true"
    tab.picture("why")
    tab.click("#list li:first-child [data-act=why]")
    assert tab.run("document.querySelector('#list .why').hidden")


def test_an_anonymous_history_is_built_and_taken_apart(tab: Tab, shop: Shop) -> None:
    tab.open(shop.url + "/")
    tab.click("a[href='#history=']")
    tab.says("#list-said", "there and back")
    for item in ("i5", "i9"):
        tab.fill("#query", item)
        tab.until(f"document.querySelector('#found a')?.getAttribute('href') === '#item={item}'")
        tab.click("#found button")
        tab.until(f"location.hash.endsWith('{item}')")
    tab.says("#list-said", "the live model")
    tab.until("document.querySelectorAll('#history li').length === 2")
    assert tab.run("location.hash") == "#history=i5&history=i9"
    answer = shop.http.post("/v1/recommendations", json={"history": ["i5", "i9"]}).json()
    tab.until("document.querySelector('#list').ariaBusy === 'false'")
    assert tab.texts(TITLES) == [named(item) for item in answer["items"]]
    assert tab.texts("#history .what a") == [named(shop.get("items", item)) for item in ("i9", "i5")]
    tab.click("#history li:first-child button")
    tab.until("location.hash === '#history=i5' && document.querySelectorAll('#history li').length === 1")


def test_without_the_model_the_page_says_what_answers_instead(tab: Tab, shop: Shop) -> None:
    shop.model.down = True
    try:
        tab.open(f"{shop.url}/#history=i5")
        tab.says("#list-said", "items bought alike")
        tab.says("#versions", "model none")
        tab.says("#service", "live model down")
        tab.click("#list [data-act=why]")
        tab.says("#list .why", "The live model does not answer")
        tab.forgive("status of 503")
    finally:
        shop.model.down = False
