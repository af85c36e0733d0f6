"""Requests that somebody may send who means no good or knows no better, and how each is to be answered.

``target`` as it goes over the wire; ``body`` None sends none; statuses are those of `tests.unit.serve.shop_api.LIMITS`.
"""

from __future__ import annotations

from typing import NamedTuple

DEEP = 100_000
RECOMMEND, EVENTS, ITEM, USER = "/v1/recommendations", "/v1/events", "/v1/items/zebra", "/v1/users/user%203"
LIST = f"{USER}/recommendations"


class Hostile(NamedTuple):
    method: str
    target: str
    status: int
    body: bytes | str | None = None
    headers: tuple[tuple[str, str], ...] = ()


QUERIES = [
    *(Hostile("GET", f"{LIST}?{query}", 422) for query in ("k=0", "k=4", "k=-1", "k=", "k=1e3", "k=2.0", "k=%C2%B2")),
    *(
        Hostile("GET", f"{LIST}?{query}", 422)
        for query in (f"k={'9' * 5000}", "k=99999999999", "k=true", "k=0x1", "k=+1")
    ),
    *(Hostile("GET", f"{LIST}?{query}", 400) for query in ("k=1&k=2", "q=1", "&".join("k" * 30), "k[]=1", "K=1", "=1")),
    *(
        Hostile("GET", f"{LIST}?{query}", 400)
        for query in ("k=1&brand=a&brand=b", "wish=%FF", "wish=%ED%A0%80", "k=\xff")
    ),
    *(
        Hostile("GET", f"{LIST}?{query}", 422)
        for query in ("exclude=", "exclude=a,", "exclude=%00", f"exclude={'x' * 21}")
    ),
    Hostile("GET", f"{LIST}?exclude=a,b,c,d,e,f", 422),
    Hostile("GET", f"{LIST}?{'&'.join(['exclude=a'] * 100_000)}", 414),
    Hostile("GET", f"{LIST}?{'&'.join(['exclude=a'] * 1000)}", 400),
    Hostile("GET", f"{LIST}?wish={'x' * 31}", 422),
    Hostile("GET", f"{LIST}?brand=%00", 422),
    Hostile("GET", f"{LIST}?category='%20OR%201=1--", 200),
    Hostile("GET", f"{LIST}?wish=%3Cscript%3Ealert(1)%3C/script%3E", 200),
    Hostile("GET", f"{USER}/reasons", 422),
    Hostile("GET", f"{USER}/reasons?item=", 422),
    Hostile("GET", f"{USER}/reasons?item=a&item=b&item=c&item=d", 422),
    Hostile("GET", f"{USER}/reasons?item=nowhere", 422),
    Hostile("GET", "/v1/items", 422),
    Hostile("GET", "/v1/items?query=%20%20", 422),
    Hostile("GET", "/v1/items?query=a&limit=101", 422),
    Hostile("GET", "/v1/items?query=%27%3B%20DROP%20TABLE%20events%3B--", 200),
    Hostile("GET", "/v1/items?query=%F0%9F%92%A9%E2%80%AE", 200),
    Hostile("GET", "/v1/users?limit=0", 422),
    Hostile("GET", "/v1/users?prefix=%F4%8F%BF%BF", 200),
    Hostile("GET", "/v1/items/zebra/similar?k=101", 422),
    Hostile("GET", "/v1/status?verbose=1", 400),
]
PATHS = [
    *(
        Hostile("GET", f"/v1/users/{user}/recommendations", 404)
        for user in ("nobody", "%20", "user", "user%203%20", "USER%203")
    ),
    *(
        Hostile("GET", f"/v1/users/{user}/recommendations", 404)
        for user in ("..%2F..%2Fetc%2Fpasswd", "..", "'%20OR%20'1'='1")
    ),
    *(
        Hostile("GET", f"/v1/users/{user}/recommendations", 404)
        for user in ("user%25203", "user+3", "%F0%9F%92%A9", "%E2%80%AE")
    ),
    *(
        Hostile("GET", f"/v1/users/{user}/recommendations", 422)
        for user in ("", "%00", "user%203%00", "x" * 21, "%C3%BC" * 21)
    ),
    *(
        Hostile("GET", f"/v1/users/{user}/recommendations", 400)
        for user in ("%ED%A0%80", "%FF", "%", "%2", "%zz", "\xff")
    ),
    *(
        Hostile("GET", path, 404)
        for path in ("", "//", "/v1", "/v1/", "/v1/nowhere", "/v1//users", "/V1/users", "/v2/users")
    ),
    *(
        Hostile("GET", path, 404)
        for path in ("/v1/users/a/b/recommendations", "/v1/users/a/recommendations/", "/healthz/", "*")
    ),
    *(
        Hostile("GET", path, 404)
        for path in ("/page/", "/page/../api.py", "/page/..%2Fapi.py", "/page/index.html", "/page/a/b")
    ),
    *(
        Hostile("GET", path, 404)
        for path in ("/page/%00", "/v1/%75sers", "/v1/users/a;x=1", "/.git/config", "/" + "a" * 9999)
    ),
    Hostile("GET", "/" * 10_000, 404),
    Hostile("GET", "/v1/users/", 422),
    Hostile("GET", "/v1/items/", 422),
    Hostile("POST", LIST, 405),
    Hostile("GET", RECOMMEND, 405),
    Hostile("DELETE", "/healthz", 405),
    Hostile("PATCH", ITEM, 405),
    Hostile("OPTIONS", EVENTS, 405),
    Hostile("TRACE", "/", 405),
    Hostile("BREW", "/docs", 405),
    Hostile("CONNECT", "/", 405),
]
JSON = [
    *(
        Hostile("POST", RECOMMEND, 400, body)
        for body in ("", "{", "[" * 300, "{]", "'a'", "{'history': []}", "undefined", "\ufeff{}")
    ),
    *(
        Hostile("POST", RECOMMEND, 400, body)
        for body in ('{"history": [],}', '{"history": []} {}', '{"history": ["\n"]}', "nul")
    ),
    *(
        Hostile("POST", RECOMMEND, 400, body)
        for body in (b"\xff", b'{"history": ["\xff"]}', b'{"history": ["\xed\xa0\x80"]}', b"\0")
    ),
    *(
        Hostile("POST", RECOMMEND, 400, f'{{"history": [], "k": {k}}}')
        for k in ("NaN", "Infinity", "-Infinity", "01", ".5", "1_0")
    ),
    Hostile("POST", RECOMMEND, 400, '{"history": [], "history": ["zebra"]}'),
    Hostile("POST", RECOMMEND, 400, '{"history": [], "wish": {"a": 1, "a": 2}}'),
    Hostile("POST", RECOMMEND, 422, '{"history": ' + "[" * 400 + "]" * 400 + "}"),
    *(
        Hostile("POST", RECOMMEND, 422, body)
        for body in ("null", "[]", "{}", "1", '"a"', "true", '{"history": null}', '{"history": "i1"}')
    ),
    *(
        Hostile("POST", RECOMMEND, 422, f'{{"history": {value}}}')
        for value in ("[1]", "[null]", "[[]]", "{}", '[""]', "[true]", "1e400")
    ),
    *(
        Hostile("POST", RECOMMEND, 422, f'{{"history": [], "k": {k}}}')
        for k in ('"3"', "1.5", "true", "0", "4", "-1", "1e400", "[]", "1e2")
    ),
    *(
        Hostile("POST", RECOMMEND, 422, f'{{"history": [], "k": {k}}}')
        for k in ("9" * 30, "-" + "9" * 1500, "9223372036854775808")
    ),
    Hostile("POST", RECOMMEND, 422, '{"history": [], "__proto__": {}}'),
    Hostile("POST", RECOMMEND, 422, '{"history": [], "wish": null}'),
    Hostile("POST", RECOMMEND, 422, '{"history": ["\\ud800"]}'),
    Hostile("POST", RECOMMEND, 422, '{"\\ud800": 1}'),
    Hostile("POST", RECOMMEND, 422, '{"history": ["a\\u0000b"]}'),
    Hostile("POST", RECOMMEND, 422, '{"history": ["' + "x" * 21 + '"]}'),
    Hostile("POST", RECOMMEND, 422, '{"history": [' + ",".join(['"i"'] * 6) + "]}"),
    Hostile("POST", RECOMMEND, 422, '{"history": [], "exclude": ["a","b","c","d","e","f"]}'),
    Hostile("POST", RECOMMEND, 200, '{"history": ["\'; DROP TABLE e;--", "../../etc"], "wish": "\u202e\U0001f4a9"}'),
    Hostile("POST", f"{RECOMMEND}?k=1", 400, '{"history": []}'),
    Hostile("POST", RECOMMEND, 413, " " * 2001),
    Hostile("POST", RECOMMEND, 413, "[" * DEEP),
]
WRITES = [
    *(
        Hostile("POST", EVENTS, 422, body)
        for body in ("{}", "[]", '{"events": []}', '{"events": {}}', '{"events": [{}]}', '{"user_id": "a"}')
    ),
    Hostile("POST", EVENTS, 422, '{"events": [{"user_id": "a", "item_id": "zebra"}], "user_id": "a"}'),
    *(
        Hostile("POST", EVENTS, 422, f'{{"user_id": "a", "item_id": "zebra", "timestamp": {time}}}')
        for time in (
            "-1",
            "1e400",
            "1e30",
            '"soon"',
            '""',
            '"2026-13-01"',
            "true",
            "[]",
            "1767225600000",
            '"0001-01-01"',
            '"9999-12-31T23:59:59-23:59"',
        )
    ),
    *(
        Hostile("POST", EVENTS, 422, f'{{"user_id": {user}, "item_id": "zebra"}}')
        for user in ("1", "null", '""', '"\\u0000"', '"\\udfff"')
    ),
    Hostile("POST", EVENTS, 422, '{"user_id": "a", "item_id": "nowhere"}'),
    Hostile("POST", EVENTS, 422, '{"events": [' + ",".join(['{"user_id": "a", "item_id": "zebra"}'] * 4) + "]}"),
    *(
        Hostile("POST", EVENTS, 400, '{"user_id": "a", "item_id": "zebra"}', (("idempotency-key", key),))
        for key in ("", "a b", "x" * 129, "\xfc", "a\tb")
    ),
    Hostile(
        "POST",
        EVENTS,
        400,
        '{"user_id": "a", "item_id": "zebra"}',
        (("idempotency-key", "a"), ("idempotency-key", "b")),
    ),
    *(
        Hostile("PUT", ITEM, 422, body)
        for body in ('{"available": "no"}', '{"available": 0}', '{"available": [true]}', '{"codes": [1]}')
    ),
    *(
        Hostile("PUT", ITEM, 422, body)
        for body in ('{"title": 1}', '{"categories": "a"}', '{"categories": [1]}', '{"title": "\\u0000"}')
    ),
    Hostile("PUT", ITEM, 422, '{"categories": [' + ",".join(['"c"'] * 101) + "]}"),
    Hostile("PUT", f"/v1/items/{'x' * 21}", 422, "{}"),
    Hostile("PUT", "/v1/items/", 422, "{}"),
    Hostile("DELETE", "/v1/items/nowhere", 404),
    Hostile("DELETE", "/v1/users/%FF", 400),
]
HEADERS = [
    *(
        Hostile("POST", RECOMMEND, 415, "{}", (("content-type", kind),))
        for kind in ("text/plain", "application/xml", "application/jsonp")
    ),
    *(
        Hostile("POST", RECOMMEND, 415, "{}", (("content-type", kind),))
        for kind in ("", "application/x-www-form-urlencoded", "json")
    ),
    Hostile("POST", RECOMMEND, 415, "{}", (("content-type", "application/json"), ("content-encoding", "gzip"))),
    Hostile("POST", RECOMMEND, 400, "{}", (("content-type", "application/json"), ("content-type", "text/plain"))),
    Hostile("POST", RECOMMEND, 413, "{}", (("content-type", "application/json"), ("content-length", "2001"))),
    Hostile("POST", RECOMMEND, 413, "{}", (("content-type", "application/json"), ("content-length", "9" * 40))),
    Hostile("GET", LIST, 200, None, (("x-request-id", "\r\nset-cookie: a=b"),)),
    Hostile("GET", LIST, 200, None, (("x-request-id", "x" * 65),)),
    Hostile(
        "GET", LIST, 200, None, (("x-request-id", "\xff"), ("authorization", "Bearer \xff"), ("cookie", "a" * 9999))
    ),
    Hostile("GET", LIST, 200, None, (("content-type", "application/json"), ("content-length", "-1"))),
    *(
        Hostile("GET", LIST, 421, None, (("host", host),))
        for host in ("evil.example", "localhost.evil.example", "", "localhost:8000:1", "[::1")
    ),
    Hostile("GET", LIST, 400, None, (("host", "localhost"), ("host", "evil.example"))),
]
EVERY = [*QUERIES, *PATHS, *JSON, *WRITES, *HEADERS]
