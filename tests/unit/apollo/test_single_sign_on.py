"""Single sign-on against a real provider: who is let in, as what; and each way in which an answer may be a forgery."""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
import pytest
from joserfc.jwk import RSAKey

from olympus.apollo.http_quart import App
from olympus.apollo.provider_joserfc import Client, Provider
from olympus.apollo.sessions import COOKIE
from olympus.apollo.tokens import Tokens
from olympus.host.http_aiohttp import HttpClient
from olympus.kernel.errors import Invalid
from tests.identity_provider import CLIENT, SECRET, IdentityProvider

HOST = {"Host": "127.0.0.1:4280"}
ACCESS = ("Access", "shop", {"groups": ["shop"], "role": "operator"})


@pytest.fixture(scope="module")
def running():
    with IdentityProvider() as found:
        yield found


@pytest.fixture
def provider(running):
    running.lies, running.signs_with, running.algorithm, running.says_issuer = {}, running.key, "RS256", None
    running.person = {"sub": "42", "preferred_username": "ann", "groups": ["shop"]}
    return running


@pytest.fixture
async def door(here, provider):
    """The app with that provider, and a browser without any cookie."""
    http = HttpClient()
    ours = Provider(Client(provider.issuer, CLIENT, SECRET), http, here.around.clock)
    here.client = (
        App(replace(here.around, provider=ours), Tokens(here.kv, here.around.clock)).build().test_client()
    )
    await here.declare(ACCESS)
    yield here
    await http.close()


async def begin(door):
    """What the provider is asked, as a browser would."""
    answer = await door.client.get("/login/begin", headers=HOST)
    assert answer.status_code == 303
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


async def back(door, url):
    """From the provider's site, which browsers say."""
    parts = urlsplit(url)
    return await door.client.get(
        f"{parts.path}?{parts.query}", headers={**HOST, "Sec-Fetch-Site": "cross-site"}
    )


def in_(answer):
    return any(one.startswith(f"{COOKIE}=") for one in answer.headers.getlist("Set-Cookie"))


async def test_who_is_known_there_comes_in_with_the_role_of_his_groups(door, provider):
    answer = await back(door, provider.authorize(await begin(door)))
    assert answer.status_code == 200
    assert in_(answer)
    assert b"url=/" in await answer.get_data()
    assert (await door.client.get("/api/v1/runs", headers=HOST)).status_code == 200
    assert (await door.client.get("/api/v1/tokens", headers=HOST)).status_code == 403
    sessions = orjson.loads(await (await door.client.get("/api/v1/sessions", headers=HOST)).get_data())[
        "items"
    ]
    assert [one["name"] for one in sessions] == ["ann"]
    # Another commit takes the role from the group: the session has nothing left.
    await door.declare()
    assert (await door.client.get("/api/v1/runs", headers=HOST)).status_code == 403


async def test_who_has_no_role_by_access_stays_out(door, provider):
    provider.person |= {"groups": ["others"]}
    answer = await back(door, provider.authorize(await begin(door)))
    assert (answer.status_code, in_(answer)) == (403, False)


FORGED = {
    "for another program": {"aud": "another"},
    "for us and meant for another": {"aud": [CLIENT, "another"], "azp": "another"},
    "of another issuer": {"iss": "https://evil.example"},
    "of another login": {"nonce": "another"},
    "of no login": {"nonce": None},
    "over": {"exp": int(time.time()) - 3600},
    "for ever": {"exp": None},
    "from the future": {"iat": int(time.time()) + 3600},
    "of nobody": {"sub": None},
}


@pytest.mark.parametrize("lies", FORGED.values(), ids=FORGED.keys())
async def test_a_token_that_is_not_for_this_login_lets_nobody_in(door, provider, lies):
    provider.lies = lies
    answer = await back(door, provider.authorize(await begin(door)))
    assert (answer.status_code, in_(answer)) == (401, False)


@pytest.mark.parametrize("forgery", ["another key", "none", "the public key as a secret"])
async def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(door, provider, forgery):
    if forgery == "another key":
        provider.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
    elif forgery == "none":
        provider.algorithm = "none"
    else:
        provider.algorithm = "HS256"
    answer = await back(door, provider.authorize(await begin(door)))
    assert (answer.status_code, in_(answer)) == (401, False)


async def test_an_answer_of_another_provider_or_another_login_is_refused(door, provider):
    asked = await begin(door)
    url = provider.authorize(asked)
    for name, value in (("iss", "https://evil.example"), ("state", "another"), ("state", "")):
        query = {one: values[0] for one, values in parse_qs(urlsplit(url).query).items()} | {name: value}
        await begin(door)
        door.client.set_cookie("127.0.0.1", "olympus_login", f"{asked['state']}.n.v", path="/login")
        answer = await back(door, f"/login/callback?{urlencode(query)}")
        assert (answer.status_code, in_(answer)) == (401, False), (name, value)


async def test_a_login_that_was_begun_in_another_browser_is_refused(door, provider):
    url = provider.authorize(await begin(door))
    door.client.cookie_jar.clear()
    assert (await back(door, url)).status_code == 401
    # Also where this browser began one of its own.
    await begin(door)
    assert (await back(door, url)).status_code == 401


async def test_a_code_that_was_stolen_is_nothing_without_the_verifier(door, provider):
    stolen = provider.authorize(await begin(door))
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    asked = await begin(door)
    answer = await back(door, f"/login/callback?{urlencode({'code': code, 'state': asked['state']})}")
    assert (answer.status_code, in_(answer)) == (401, False)


async def test_a_code_counts_once(door, provider):
    asked = await begin(door)
    url = provider.authorize(asked)
    assert in_(await back(door, url))
    assert not in_(await back(door, url))


async def test_nothing_that_comes_with_it_leads_elsewhere(door, provider):
    url = provider.authorize(await begin(door)) + "&next=https://evil.example&url=//evil.example"
    answer = await back(door, url)
    assert in_(answer)
    assert "Location" not in answer.headers
    assert b"evil" not in await answer.get_data()
    asked = await begin(door)
    assert asked["redirect_uri"] == "http://127.0.0.1:4280/login/callback"
    spoofed = await door.client.get("/login/begin", headers={"Host": "evil.example"})
    assert spoofed.status_code == 421


async def test_a_provider_that_says_it_is_another_is_not_asked(door, provider):
    provider.says_issuer = "https://evil.example"
    answer = await door.client.get("/login/begin", headers=HOST)
    assert answer.status_code == 503
    assert "Location" not in answer.headers


async def test_without_a_provider_there_is_no_such_way(here):
    assert (await here.client.get("/login/begin", headers=HOST)).status_code == 404
    assert b"single sign-on" not in await (await here.client.get("/login", headers=HOST)).get_data()


def test_an_issuer_whom_others_could_hear_is_refused():
    for issuer in ("http://sso.example", "ftp://sso.example", "sso.example"):
        with pytest.raises(Invalid):
            Client(issuer, "a", "b").check()
    Client("https://sso.example", "a", "b").check()
