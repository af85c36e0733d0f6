"""Host names, API keys and their scopes, and the command that writes keys."""

from __future__ import annotations

import json
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from semconv.config import ServeSettings
from semconv.errors import InputError
from serve.http import ProblemError
from serve.keys import add, main, remove
from serve.security import ANYBODY, Hosts, Keys, check_scope, read_keys

SETTINGS = ServeSettings(host="10.0.0.5", hosts=("shop.example", "Other.Example"))


def bearer(key: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"localhost"), (b"authorization", f"Bearer {key}".encode())]


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"LOCALHOST:8000",
        b"127.0.0.1:1",
        b"[::1]",
        b"[::1]:8000",
        b"10.0.0.5:8000",
        b"shop.example",
        b"other.example:443",
    ],
)
def test_own_names_are_answered(host: bytes) -> None:
    Hosts(SETTINGS).check([(b"host", host)])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 400),
        ([b"localhost", b"localhost"], 400),
        ([b""], 421),
        ([b"evil.example"], 421),
        ([b"evil.example:8000"], 421),
        ([b"localhost.evil.example"], 421),
        ([b"localhost:"], 421),
        ([b"localhost:80x"], 421),
        ([b"localhost:123456"], 421),
        ([b"localhost, evil.example"], 421),
        ([b"::1"], 421),
        ([b"\xff"], 421),
    ],
)
def test_other_names_are_refused(headers: list[bytes], status: int) -> None:
    with pytest.raises(ProblemError) as caught:
        Hosts(SETTINGS).check([(b"host", host) for host in headers])
    assert caught.value.status == status


def test_an_ipv6_address_is_a_name_in_brackets() -> None:
    Hosts(ServeSettings(host="fd00::1")).check([(b"host", b"[fd00::1]:8000")])


def test_without_a_file_everybody_may_do_everything() -> None:
    assert Keys(None).caller([]) is ANYBODY
    check_scope(ANYBODY, "admin")


def test_a_key_is_known_by_its_digest_in_either_header(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = add(file, "shop", ["read", "events"])
    keys = Keys(str(file))
    assert key not in file.read_text()
    assert len(key) > 43
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for headers in (bearer(key), [(b"authorization", f"bearer  {key} ".encode())], [(b"x-api-key", key.encode())]):
        assert keys.caller(headers).name == "shop"
    caller = keys.caller(bearer(key))
    check_scope(caller, "events")
    with pytest.raises(ProblemError) as caught:
        check_scope(caller, "admin")
    assert caught.value.status == 403


@pytest.mark.parametrize("spoil", ["", "x", "\xff", "semconv_"])
def test_another_key_or_none_is_a_401(tmp_path: Path, spoil: str) -> None:
    file = tmp_path / "keys.json"
    key = add(file, "shop", ["read"])
    wrong = [bearer(key + spoil)] if spoil else [[], [(b"authorization", b"Basic abc")], bearer(key) * 2, bearer("")]
    for headers in wrong:
        with pytest.raises(ProblemError) as caught:
            Keys(str(file)).caller(headers)
        assert caught.value.status == 401


def test_a_changed_file_is_read_again_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    file, now = tmp_path / "keys.json", [0.0]
    first = add(file, "first", ["read"])
    keys = Keys(str(file), clock=lambda: now[0])

    def known(key: str) -> bool:
        try:
            return bool(keys.caller(bearer(key)))
        except ProblemError:
            return False

    second = add(file, "second", ["read"])
    assert not known(second), "looked at again within the second"
    now[0] = 1.5
    assert known(second)
    file.write_text("[")
    now[0] = 3.0
    assert known(first)
    file.unlink()
    now[0] = 4.5
    assert known(first)
    file.write_text("[]")
    now[0] = 6.0
    assert not known(first)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "{}",
        '[{"name": "a", "sha256": "ab", "scopes": []}]',
        f'[{{"name": "a", "sha256": "{"0" * 64}", "scopes": ["root"]}}]',
        f'[{{"name": "a", "sha256": "{"0" * 64}", "scopes": [], "key": "x"}}]',
        f'[{{"name": "a b", "sha256": "{"0" * 64}", "scopes": []}}]',
    ],
)
def test_a_file_that_is_not_valid_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(content)
    with pytest.raises(InputError, match=r"keys\.json"):
        Keys(str(file))


def test_a_name_or_a_digest_stands_once(tmp_path: Path) -> None:
    entry = {"name": "a", "sha256": sha256(b"a").hexdigest(), "scopes": ["read"]}
    file = tmp_path / "keys.json"
    for other in ({"name": "b"}, {"sha256": sha256(b"b").hexdigest()}):
        file.write_text(json.dumps([entry, entry | other]))
        with pytest.raises(InputError, match="twice"):
            read_keys(file)


def test_the_command_adds_lists_and_removes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys.json"
    assert main(["add", "--file", str(file), "--name", "shop", "--scopes", "read,events"]) == 0
    key = capsys.readouterr().out.strip()
    assert Keys(str(file)).caller(bearer(key)).scopes == {"read", "events"}
    assert main(["list", "--file", str(file)]) == 0
    assert capsys.readouterr().out == "shop events,read\n"
    assert main(["remove", "--file", str(file), "--name", "shop"]) == 0
    assert read_keys(file) == ()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "--name", "shop"], "has a key named 'shop'"),
        (["add", "--name", "new", "--scopes", "root"], "scopes are read, events, admin"),
        (["add", "--name", ""], "Names have"),
        (["remove", "--name", "nobody"], "It has: shop"),
    ],
)
def test_what_the_command_cannot_do_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    file = tmp_path / "keys.json"
    add(file, "shop", ["read"])
    before = file.read_bytes()
    assert main([*arguments, "--file", str(file)]) == 2
    assert said in capsys.readouterr().err
    assert file.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["keys.json"]
    with pytest.raises(InputError, match="cannot be"):
        remove(tmp_path / "nowhere" / "keys.json", "shop")
