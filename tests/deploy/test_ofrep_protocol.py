"""The protocol, byte by byte, over HTTP: values, reasons, tags, tokens and every error."""

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from ofrep_samples import FLAGS, KEYS, LATE, PATHS, PLAIN, PROMPTS, RUNNING, SALT, STRANGE, TOKEN, Served, put, served

from deploy.ofrep.app import MOST_BYTES, Endpoint
from deploy.ofrep.flags import Flags
from optimizer.rollouts import Split, canary, point


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("ofrep"), migrated) as one:
        yield one


def test_a_user_gets_the_version_that_the_hash_says(endpoint: Served) -> None:
    names = {8: "candidate", 3: "candidate", 6: "holdback", 0: "production"}
    seen = set()
    for prompt, split in RUNNING.items():
        for key in KEYS:
            version = split.at(point(SALT, key))
            seen.add((prompt, version))
            answer = endpoint.asked(prompt, targetingKey=key, plan="gold")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
            assert answer.json() == {
                "key": prompt,
                "value": version,
                "reason": "SPLIT",
                "variant": names[version],
                "metadata": {"serial": 2},
            }
    assert len(seen) == 6  # both sides of every split


def test_a_prompt_without_a_rollout_is_on_production_for_everybody(endpoint: Served) -> None:
    nobody = endpoint.asked(STRANGE)
    assert nobody.json() == endpoint.asked(STRANGE, targetingKey="u").json()
    assert nobody.json() == {
        "key": STRANGE,
        "value": 0,
        "reason": "STATIC",
        "variant": "production",
        "metadata": {"serial": 0},
    }


@pytest.mark.parametrize("path", [PATHS, quote(PATHS), quote(PATHS, safe="")], ids=["bare", "encoded", "slash too"])
def test_a_name_with_slashes_is_found_however_it_is_written(endpoint: Served, path: str) -> None:
    assert endpoint.sent(f"/{path}", {"context": {"targetingKey": "u"}}).json()["key"] == PATHS


def test_a_closed_split_is_static_again(endpoint: Served) -> None:
    closed = Split(prompt=STRANGE, salt="t")
    put(endpoint.splits, canary(STRANGE, "t", version=4, share=1.0 - 2**-20))
    put(endpoint.splits, closed)
    endpoint.follows(STRANGE, 3)
    answer = endpoint.asked(STRANGE).json()
    assert (answer["value"], answer["reason"], answer["metadata"]) == (0, "STATIC", {"serial": 3})


def test_all_flags_at_once_with_a_tag(endpoint: Served) -> None:
    asked = {"context": {"targetingKey": "u"}}
    first = endpoint.sent("", asked)
    assert first.status_code == 200
    singly = [endpoint.asked(prompt, targetingKey="u").json() for prompt in sorted(PROMPTS)]
    assert first.json() == {"flags": singly}
    tag = first.headers["etag"]
    for held in (tag, f'"other", W/{tag}', "*"):
        same = endpoint.sent("", asked, **{"if-none-match": held})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert endpoint.sent("", asked, **{"if-none-match": '"other"'}).content == first.content
    others = {endpoint.sent("", {"context": {"targetingKey": key}}).headers["etag"] for key in KEYS}
    assert len(others) > 1, "who is shown something else has another tag"


def test_a_change_of_a_split_changes_the_tag(endpoint: Served) -> None:
    asked = {"context": {"targetingKey": "u"}}
    before = endpoint.sent("", asked).headers["etag"]
    found = endpoint.splits.read(LATE)
    assert found is not None
    put(endpoint.splits, Split(prompt=LATE, salt=SALT))
    endpoint.follows(LATE, found[1] + 1)
    after = endpoint.sent("", asked, **{"if-none-match": before})
    assert after.status_code == 200
    assert after.headers["etag"] != before
    put(endpoint.splits, found[0])
    endpoint.follows(LATE, found[1] + 2)


def test_all_flags_without_a_key_say_which_of_them_need_one(endpoint: Served) -> None:
    by_key = {flag["key"]: flag for flag in endpoint.sent("", {}).json()["flags"]}
    assert by_key[PLAIN]["errorCode"] == "TARGETING_KEY_MISSING"
    assert "value" not in by_key[PLAIN]
    assert by_key[STRANGE]["value"] == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (PLAIN, b"{", 400, "PARSE_ERROR"),
        (PLAIN, b"\xff", 400, "PARSE_ERROR"),
        (PLAIN, b"[" * 20_000, 400, "PARSE_ERROR"),
        (PLAIN, b"[]", 400, "PARSE_ERROR"),
        (PLAIN, b'{"context":[]}', 400, "INVALID_CONTEXT"),
        (PLAIN, b'{"context":"u"}', 400, "INVALID_CONTEXT"),
        (PLAIN, b'{"context":{"targetingKey":7}}', 400, "INVALID_CONTEXT"),
        (PLAIN, b"", 400, "TARGETING_KEY_MISSING"),
        (PLAIN, b"{}", 400, "TARGETING_KEY_MISSING"),
        (PLAIN, b'{"context":null}', 400, "TARGETING_KEY_MISSING"),
        (PLAIN, b'{"context":{"targetingKey":""}}', 400, "TARGETING_KEY_MISSING"),
        (PLAIN, b'{"context":{"targetingKey":null}}', 400, "TARGETING_KEY_MISSING"),
        ("nobody's", b'{"context":{"targetingKey":"u"}}', 404, "FLAG_NOT_FOUND"),
        ("%FF", b'{"context":{"targetingKey":"u"}}', 404, "FLAG_NOT_FOUND"),
        (f"{PLAIN}/", b'{"context":{"targetingKey":"u"}}', 404, "FLAG_NOT_FOUND"),
    ],
)
def test_a_bad_question_is_told_so_in_the_protocols_words(
    endpoint: Served, path: str, body: bytes, status: int, code: str
) -> None:
    answer = endpoint.http.post(f"{FLAGS}/{path}", content=body, headers={"x-api-key": TOKEN})
    assert (answer.status_code, answer.json()["errorCode"]) == (status, code)
    assert answer.json()["key"] == httpx.URL(f"http://h/{path}").path.removeprefix("/")
    assert answer.json()["errorDetails"]


def test_a_bad_question_for_all_flags_is_told_so(endpoint: Served) -> None:
    answer = endpoint.sent("", [])
    assert answer.status_code == 400
    assert answer.json() == {"errorCode": "PARSE_ERROR", "errorDetails": "the body is not an object"}


@pytest.mark.parametrize("path", ["", f"/{PLAIN}"])
@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {TOKEN}!"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer \u00e9"},
        {"x-api-key": TOKEN[:-1]},
        {"x-api-key": ""},
    ],
)
def test_without_the_token_nothing_is_said(endpoint: Served, path: str, shown: dict[str, str]) -> None:
    headers = {name: value.encode() for name, value in shown.items()}
    answer = endpoint.http.post(f"{FLAGS}{path}", content=b"x" * 1000, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert PLAIN not in answer.text


def test_the_token_is_taken_as_a_bearer_token_or_as_a_key(endpoint: Served) -> None:
    for headers in ({"authorization": f"bearer  {TOKEN}"}, {"x-api-key": TOKEN}):
        asked = {"context": {"targetingKey": "u"}}
        assert endpoint.http.post(f"{FLAGS}/{PLAIN}", json=asked, headers=headers).status_code == 200


def pieces(number: int) -> Iterator[bytes]:
    """A body whose length is not told before."""
    return (b"x" * 1000 for _ in range(number))


@pytest.mark.parametrize("body", [b"x" * (MOST_BYTES + 1), 66], ids=["told", "in pieces"])
def test_a_question_that_is_too_long_is_not_read(endpoint: Served, body: bytes | int) -> None:
    content = pieces(body) if isinstance(body, int) else body
    answer = endpoint.http.post(f"{FLAGS}/{PLAIN}", content=content, headers={"x-api-key": TOKEN})
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    longest = b" " * (MOST_BYTES - 2) + b"{}"
    fits = endpoint.http.post(f"{FLAGS}/{PLAIN}", content=longest, headers={"x-api-key": TOKEN})
    assert fits.json()["errorCode"] == "TARGETING_KEY_MISSING"


def test_other_paths_and_methods(endpoint: Served) -> None:
    assert endpoint.http.get("/").status_code == 404
    assert endpoint.http.post("/ofrep/v1/evaluate/flagship").status_code == 404
    got = endpoint.http.get(f"{FLAGS}/{PLAIN}")
    assert (got.status_code, got.headers["allow"]) == (405, "POST")


def test_health_needs_no_token_and_names_nothing(endpoint: Served) -> None:
    answer = endpoint.http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"splits_read": True})


async def test_before_the_splits_were_read_everybody_is_on_production() -> None:
    transport = httpx.ASGITransport(app=Endpoint(Flags.of([PLAIN])))
    async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
        answer = await client.post(f"{FLAGS}/{PLAIN}", json={"context": {"targetingKey": "u"}})
        health = await client.get("/healthz")
    said = answer.json()
    assert (said["value"], said["reason"], said["variant"]) == (0, "DEFAULT", "production")
    assert health.status_code == 503


async def test_a_fault_of_ours_is_an_answer_too(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Flags):
        def all(self, unit: str) -> "tuple[()]":
            raise RuntimeError(f"broken for {unit}")

    endpoint = Endpoint(Broken(prompts=frozenset({PLAIN}), splits={}))
    with caplog.at_level(logging.ERROR, "tracegrad"):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=endpoint), base_url="http://endpoint") as client:
            answer = await client.post(FLAGS, json={"context": {"targetingKey": "u"}})
    assert (answer.status_code, answer.json()["errorCode"]) == (500, "GENERAL")
    assert "broken" not in answer.text
    assert [record.action for record in caplog.records] == ["ofrep-failed"]  # type: ignore[attr-defined]
