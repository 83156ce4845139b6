"""The snippets of chapter 07. Each attack is run twice: the naive app falls to it, and the snippet stands."""

import asyncio
import base64
import gzip
import hmac
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from secrets import compare_digest, token_urlsafe
from time import perf_counter
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings
from redis.asyncio import Redis

from app_snippets.security import (
    bearer_token,
    jwt_tokens,
    object_level,
    password_hashing,
    production_docs,
    rate_limit,
    scopes,
    secret_settings,
    ssrf_guard,
)
from lab import launch, serve
from lab.launching import Launched
from lab.serving import Server
from tests.snippets.real_redis import ABSENT, PROGRAM, RealRedis

ROOT = Path(__file__).parents[2]
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


def asking(app: Any) -> httpx.AsyncClient:
    """A client that calls the app in this loop."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://app")


def token(name: str) -> dict[str, bytes]:
    return {"Authorization": b"Bearer " + name.encode()}


# A bearer token

OLD, NEW = token_urlsafe(32).encode(), token_urlsafe(32).encode()


def sent(url: str, *lines: bytes) -> tuple[int, str, bytes]:
    """The status, the challenge and the body of a request with such header lines, as they are: no client mends them."""
    host, port = url.removeprefix("http://").split(":")
    request = b"\r\n".join([b"GET / HTTP/1.1", b"Host: app", b"Connection: close", *lines, b"", b""])
    answer = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        try:
            connection.sendall(request)
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:  # a server that has refused need not read on
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    challenge = re.search(rb"^www-authenticate: (.*?)\r?$", head, re.MULTILINE | re.IGNORECASE)
    return int(head.split()[1]), challenge[1].decode() if challenge else "", body


@pytest.fixture(scope="module", params=["httptools", "h11"])
def bearer(request: pytest.FixtureRequest) -> Iterator[str]:
    command = ["uvicorn", "--factory", "app_snippets.security.bearer_token:create_app", "--http", request.param]
    with launch([*command, "--port", "{port}"], cwd=ROOT, env={"API_TOKENS": f"{NEW.decode()},{OLD.decode()}"}) as app:
        yield app.url


@pytest.fixture(scope="module")
def naive_bearer() -> Iterator[str]:
    app = FastAPI()

    @app.get("/")
    async def home(credentials: Bearer) -> None:
        if not compare_digest(credentials.credentials, NEW.decode()):
            raise HTTPException(403)

    with serve(app) as server:
        yield server.url


@pytest.mark.parametrize("good", [NEW, OLD], ids=["new", "old"])
def test_each_of_two_tokens_is_good_while_they_are_changed(bearer: str, good: bytes) -> None:
    assert sent(bearer, b"Authorization: Bearer " + good) == (200, "", b'{"hello":"caller"}')
    assert sent(bearer, b"authorization: bearer " + good)[0] == 200  # neither name is case-sensitive


WRONG_TOKENS = {
    "missing": [],
    "empty": [b"Authorization:"],
    "no token": [b"Authorization: Bearer"],
    "an empty token": [b"Authorization: Bearer "],
    "no scheme": [b"Authorization: " + NEW],
    "another scheme": [b"Authorization: Basic " + NEW],
    "wrong": [b"Authorization: Bearer " + b"x" * len(NEW)],
    "a prefix": [b"Authorization: Bearer " + NEW[:-1]],
    "longer": [b"Authorization: Bearer " + NEW + b"x"],
    "both at once": [b"Authorization: Bearer " + NEW + b"," + OLD],
    "é in UTF-8": [b"Authorization: Bearer caf\xc3\xa9"],
    "é in Latin-1": [b"Authorization: Bearer caf\xe9"],
    "no UTF-8": [b"Authorization: Bearer \xff\xfe"],
    "NUL": [b"Authorization: Bearer \0"],
    "good and NUL": [b"Authorization: Bearer " + NEW + b"\0"],
    "1 MB": [b"Authorization: Bearer " + b"x" * 1_000_000],
    "good and 1 MB": [b"Authorization: Bearer " + NEW + b"x" * 1_000_000],
    "good, then wrong": [b"Authorization: Bearer " + NEW, b"Authorization: Bearer x"],
    "wrong, then good": [b"Authorization: Bearer x", b"Authorization: Bearer " + NEW],
    "folded": [b"Authorization: Bearer x", b" " + NEW],
    "in another header": [b"Proxy-Authorization: Bearer " + NEW],
}


@pytest.mark.parametrize("lines", WRONG_TOKENS.values(), ids=WRONG_TOKENS)
def test_no_wrong_token_passes_and_none_is_an_error_of_the_server(bearer: str, lines: list[bytes]) -> None:
    status, challenge, body = sent(bearer, *lines)
    if status in (400, 431):  # the server has refused it before the app
        assert not challenge
        assert b"caller" not in body
    else:
        assert status == 401
        assert challenge in ("Bearer", 'Bearer error="invalid_token"')


@pytest.mark.parametrize(
    ("attack", "status"), [("é in UTF-8", 500), ("wrong", 403), ("good, then wrong", 200)], ids=["é", "wrong", "two"]
)
def test_the_naive_comparison_falls(naive_bearer: str, attack: str, status: int) -> None:
    assert sent(naive_bearer, *WRONG_TOKENS[attack])[:2] == (status, "")


async def test_bearer_and_scopes_block_nobody(no_blocking: object) -> None:
    async with asking(bearer_token.create_app(bearer_token.Settings(api_tokens=SecretStr(NEW.decode())))) as client:
        statuses = [(await client.get("/", headers=token(name))).status_code for name in (NEW.decode(), "x")]
    assert statuses == [200, 401]


# JSON Web Tokens

FIRST, SECOND, OF_ANOTHER = (Ed25519PrivateKey.generate() for _ in range(3))
RSA = generate_private_key(65537, 2048)
RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
ISSUER, AUDIENCE = "https://login.example", "orders"


def jwk(key: Any, kid: str | None, algorithm: str = "EdDSA") -> dict[str, Any]:
    public: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return public | ({"kid": kid} if kid else {}) | {"alg": algorithm}


def settings(*keys: dict[str, Any]) -> jwt_tokens.Settings:
    return jwt_tokens.Settings(jwt_keys=json.dumps({"keys": keys}), jwt_issuer=ISSUER, jwt_audience=AUDIENCE)


KEYS = settings(jwk(FIRST, "first"), jwk(SECOND, "second"), jwk(RSA, "rsa", "RS256"))


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "nbf": now - 5, "exp": now + 300}
    return {name: value for name, value in (whole | changed).items() if value is not None}


def signed(key: Any = FIRST, kid: str | None = "first", algorithm: str = "EdDSA", **changed: Any) -> str:
    header = {name: changed.pop(name) for name in ("jku", "jwk", "x5u", "crit") if name in changed}
    return jwt.encode(claims(**changed), key, algorithm, header | ({"kid": kid} if kid is not None else {}))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], secret: bytes | None = None, payload: bytes | None = None) -> str:
    """What no library would make: an HMAC of any key, or no signature."""
    body = ".".join(map(base64url, [json.dumps(header).encode(), payload or json.dumps(claims()).encode()]))
    return f"{body}.{base64url(hmac.digest(secret, body.encode(), 'sha256')) if secret is not None else ''}"


def of(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in text.split(".")[:2])
    return header, payload


def not_verified(text: str) -> Any:
    return jwt.decode(text, options={"verify_signature": False})


def only_signed(text: str) -> Any:
    """Verifies, and asks for nothing: what is wrong with the claims is not looked at."""
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_aud": False, "verify_iss": False}
    return jwt.decode(text, FIRST.public_key(), algorithms=["EdDSA"], options=options)


def nothing_required(text: str) -> Any:
    return jwt.decode(text, FIRST.public_key(), algorithms=["EdDSA"], issuer=None, options={"verify_aud": False})


def algorithm_of_the_token(text: str) -> Any:
    """One key for whatever algorithm the token names."""
    header, payload = of(text)
    body, _, signature = text.rpartition(".")
    if header["alg"] == "HS256":
        assert signature == base64url(hmac.digest(RSA_PEM, body.encode(), "sha256"))
    elif header["alg"].lower() != "none":
        raise ValueError
    return payload


def key_from_a_file(text: str) -> Any:
    header, payload = of(text)
    body, _, signature = text.rpartition(".")
    key = Path("keys", header["kid"]).read_bytes()
    assert signature == base64url(hmac.digest(key, body.encode(), "sha256"))
    return payload


def key_of_the_token(text: str) -> Any:
    header = jwt.get_unverified_header(text)
    key = jwt.PyJWK.from_dict(header["jwk"])
    return jwt.decode(text, key, algorithms=["EdDSA"], options={"verify_aud": False})


def leeway_of_a_day(text: str) -> Any:
    return jwt.decode(text, FIRST.public_key(), algorithms=["EdDSA"], audience=AUDIENCE, leeway=86400)


FORGED: dict[str, tuple[Callable[[], str], Callable[[str], Any] | None]] = {
    "none": (lambda: by_hand({"alg": "none", "kid": "first"}), algorithm_of_the_token),
    "NoNe": (lambda: by_hand({"alg": "NoNe", "kid": "first"}), algorithm_of_the_token),
    "none, with a signature": (lambda: by_hand({"alg": "none", "kid": "first"}, b"x"), not_verified),
    "RS/HS confusion": (lambda: by_hand({"alg": "HS256", "kid": "rsa"}, RSA_PEM), algorithm_of_the_token),
    "HS256 with a published key": (
        lambda: by_hand({"alg": "HS256", "kid": "first"}, FIRST.public_key().public_bytes_raw()),
        not_verified,
    ),
    "HS256 with no key": (lambda: by_hand({"alg": "HS256", "kid": "first"}, b""), not_verified),
    "an algorithm that is not the key's": (lambda: signed(RSA, "rsa", "RS512"), not_verified),
    "expired": (lambda: signed(exp=int(time.time()) - 60), leeway_of_a_day),
    "not yet valid": (lambda: signed(nbf=int(time.time()) + 3600), leeway_of_a_day),
    "another audience": (lambda: signed(aud="payments"), only_signed),
    "another issuer": (lambda: signed(iss="https://login.example.evil"), only_signed),
    **{f"no {name}": (lambda name=name: signed(**{name: None}), nothing_required) for name in claims()},
    "exp as text": (lambda: signed(exp="never"), only_signed),
    "exp is infinite": (
        lambda: jwt.api_jws.encode(json.dumps(claims(exp=float("inf"))).encode(), FIRST, "EdDSA", {"kid": "first"}),
        only_signed,
    ),
    "audience is no text": (lambda: signed(aud=[1]), only_signed),
    "subject is no text": (lambda: signed(sub=1), lambda text: of(text)[1]),
    "another's key": (lambda: signed(OF_ANOTHER), not_verified),
    "a key under the other's name": (lambda: signed(FIRST, "second"), not_verified),
    "a key without a name": (lambda: signed(OF_ANOTHER, None), not_verified),
    "an empty name": (lambda: signed(OF_ANOTHER, ""), not_verified),
    "unknown kid": (lambda: signed(kid="third"), not_verified),
    "no kid": (lambda: signed(kid=None), not_verified),
    "kid as a path": (lambda: by_hand({"alg": "HS256", "kid": __file__}, Path(__file__).read_bytes()), key_from_a_file),
    "kid as a query": (lambda: signed(kid="' UNION SELECT 'key"), not_verified),
    "kid is a list": (lambda: by_hand({"alg": "EdDSA", "kid": ["first"]}, b"x"), None),
    "a key of its own": (lambda: signed(OF_ANOTHER, jwk=jwk(OF_ANOTHER, "first")), key_of_the_token),
    "an address for its key": (lambda: signed(OF_ANOTHER, jku="http://127.0.0.1:9/keys"), not_verified),
    "a certificate's address": (lambda: signed(OF_ANOTHER, x5u="http://127.0.0.1:9/"), not_verified),
    "an extension that must be understood": (lambda: signed(crit=["new"]), None),
    "truncated": (lambda: signed()[:-10], not_verified),
    "without its signature": (lambda: signed().rpartition(".")[0] + ".", not_verified),
    "two parts": (lambda: signed().rpartition(".")[0], None),
    "another's claims": (
        lambda: ".".join([signed().split(".")[0], signed(sub="root").split(".")[1], signed().split(".")[2]]),
        not_verified,
    ),
    "not JSON": (lambda: "a.b.c", None),
    "JSON in JSON in JSON": (lambda: base64url(b'{"a":' + b"[" * 100_000) + ".e30.AA", None),
    "no object": (lambda: base64url(b"[]") + ".e30.AA", None),
    "non-ASCII": (lambda: "é.é.é", None),
    "an encrypted one": (lambda: ".".join([base64url(b'{"alg":"dir","enc":"A256GCM"}'), "", "AA", "AA", "AA"]), None),
}


@pytest.fixture(scope="module")
def jwt_server() -> Iterator[str]:
    with serve(jwt_tokens.create_app(KEYS)) as server:
        yield server.url


@pytest.mark.parametrize(("key", "kid", "algorithm"), [(FIRST, "first", "EdDSA"), (RSA, "rsa", "RS256")])
def test_a_good_token_is_believed(jwt_server: str, key: Any, kid: str, algorithm: str) -> None:
    answer = httpx.get(jwt_server + "/me", headers=token(signed(key, kid, algorithm)))
    assert (answer.status_code, answer.json()) == (200, {"user": "alice"})
    assert httpx.get(jwt_server + "/me", headers=token(signed(aud=["other", AUDIENCE]))).status_code == 200
    assert httpx.get(jwt_server + "/me", headers=token(signed(exp=int(time.time()) - 2))).status_code == 200  # clocks


@pytest.mark.parametrize("make", [make for make, _ in FORGED.values()], ids=FORGED)
def test_a_forged_token_is_refused(jwt_server: str, make: Callable[[], str]) -> None:
    answer = httpx.get(jwt_server + "/me", headers=token(make()))
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json() == {"detail": "invalid token"}  # the same for all


@pytest.mark.parametrize(
    ("make", "naive"),
    [pytest.param(make, naive, id=attack) for attack, (make, naive) in FORGED.items() if naive],
)
def test_a_naive_verifier_believes_it(make: Callable[[], str], naive: Callable[[str], Any]) -> None:
    assert naive(make())


def test_keys_are_rotated_without_a_failure_and_the_old_one_is_refused_when_it_is_taken_out() -> None:
    old, new = signed(FIRST, "first"), signed(SECOND, "second")
    steps = [[jwk(FIRST, "first")], [jwk(FIRST, "first"), jwk(SECOND, "second")], [jwk(SECOND, "second")]]
    believed = []
    for keys in steps:
        verify = jwt_tokens.Verifier(settings(*keys))
        for text in (old, new):
            try:
                believed.append(verify(text)["sub"])
            except jwt.PyJWTError:
                believed.append(None)
    assert believed == ["alice", None, "alice", "alice", None, "alice"]


async def test_a_token_is_verified_without_blocking(no_blocking: object) -> None:
    async with asking(jwt_tokens.create_app(KEYS)) as client:
        assert (await client.get("/me", headers=token(signed()))).status_code == 200


# Passwords


class Hasher:
    """Stands for argon2: counts what runs at once, and ends when it is told to."""

    def __init__(self) -> None:
        self.calls = self.running = self.peak = 0
        self.release = threading.Event()

    def verify_and_update(self, password: str, kept: str) -> tuple[bool, str | None]:
        self.calls += 1
        self.running += 1
        self.peak = max(self.peak, self.running)
        self.release.wait(10)
        self.running -= 1
        return password == kept, None


def passwords(hasher: Any, **options: int) -> password_hashing.Passwords:
    made = password_hashing.Passwords(**options)
    made.hasher = hasher
    return made


ADA = {"name": "ada", "password": "correct horse"}


async def test_who_has_registered_may_log_in_and_only_with_the_same_password(no_blocking: object) -> None:
    users: dict[str, str] = {}
    async with asking(password_hashing.create_app(users)) as client:
        assert (await client.post("/users", json=ADA)).json() == {"name": "ada"}
        assert (await client.post("/users", json=ADA)).status_code == 409
        assert (await client.post("/login", json=ADA)).json() == {"name": "ada"}
        wrong = await client.post("/login", json=ADA | {"password": "wrong horse"})
        unknown = await client.post("/login", json=ADA | {"name": "bob"})
    assert users["ada"].startswith("$argon2id$")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content
    assert wrong.headers["www-authenticate"] == unknown.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/users", "/login"])
@pytest.mark.parametrize("password", ["", "\0", "é" * 1000, "x" * 1001, "\ud800"], ids=ascii)
async def test_no_password_is_an_error_of_the_server(path: str, password: str) -> None:
    async with asking(password_hashing.create_app()) as client:
        body = json.dumps({"name": "ada", "password": password})
        assert (await client.post(path, content=body)).status_code in (201, 401, 422)


async def test_of_two_who_register_a_name_at_once_one_gets_it() -> None:
    async with asking(password_hashing.create_app()) as client:
        answers = await asyncio.gather(*[client.post("/users", json=ADA | {"password": f"pass {n}"}) for n in range(2)])
        statuses = [answer.status_code for answer in answers]
        assert sorted(statuses) == [201, 409]
        winner = statuses.index(201)
        logins = [await client.post("/login", json=ADA | {"password": f"pass {n}"}) for n in range(2)]
    assert [login.status_code == 200 for login in logins] == [winner == n for n in range(2)]


async def ticks_during(work: Awaitable[Any]) -> int:
    """How many times the loop came round every 2 ms while this ran."""
    ticks, task = 0, asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0.002)
        ticks += not task.done()
    await task
    return ticks


async def test_the_loop_goes_on_while_a_password_is_hashed_and_stands_still_when_it_is_done_on_the_loop() -> None:
    snippet, hasher = password_hashing.Passwords(), PasswordHash.recommended()

    async def on_the_loop() -> str:
        return hasher.hash("correct horse")

    assert await ticks_during(snippet.hash(SecretStr("correct horse"))) >= 3
    assert await ticks_during(on_the_loop()) == 0


async def test_only_a_few_are_hashed_at_once_and_a_full_queue_is_a_503() -> None:
    hasher = Hasher()
    app = password_hashing.create_app({"ada": "correct horse"}, passwords(hasher, at_once=2, waiting=3))
    async with asking(app) as client:
        logins = [asyncio.create_task(client.post("/login", json=ADA)) for _ in range(10)]
        async with asyncio.timeout(10):
            while sum(login.done() for login in logins) < 5 or hasher.running < 2:  # noqa: ASYNC110 (they are others)
                await asyncio.sleep(0.01)
        hasher.release.set()
        answers = await asyncio.gather(*logins)
    assert Counter(answer.status_code for answer in answers) == {200: 5, 503: 5}
    assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 503} == {"1"}
    assert hasher.peak == 2
    assert hasher.calls == 5


async def test_for_a_user_who_is_not_there_as_much_is_hashed() -> None:
    hasher, naive = Hasher(), Hasher()
    for counted in (hasher, naive):
        counted.release.set()
    app = password_hashing.create_app({"ada": "correct horse"}, passwords(hasher))

    def naive_login(name: str, password: str, users: dict[str, str]) -> bool:
        return name in users and naive.verify_and_update(password, users[name])[0]

    calls = []
    async with asking(app) as client:
        for name in ("ada", "nobody"):
            await client.post("/login", json={"name": name, "password": "wrong"})
            naive_login(name, "wrong", {"ada": "correct horse"})
            calls.append((hasher.calls, naive.calls))
    assert calls == [(1, 1), (2, 1)]


async def test_the_hash_for_nobody_fits_no_password_and_costs_as_much_as_a_users() -> None:
    made = password_hashing.Passwords()
    made.nobodys = made.hasher.hash("even this one")
    assert await made.verify(SecretStr("even this one"), None) == (False, None)
    parameters = [text.split("$")[1:4] for text in (made.nobodys, await made.hash(SecretStr("x")))]
    assert parameters[0] == parameters[1]


async def test_a_login_makes_a_weak_hash_anew() -> None:
    weak = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)).hash("correct horse")
    users = {"ada": weak}
    async with asking(password_hashing.create_app(users)) as client:
        assert (await client.post("/login", json=ADA | {"password": "wrong"})).status_code == 401
        assert users == {"ada": weak}
        assert (await client.post("/login", json=ADA)).status_code == 200
        assert users != {"ada": weak}
        assert (await client.post("/login", json=ADA)).status_code == 200


# Scopes


async def test_401_for_the_unknown_and_403_for_the_known_who_may_not(no_blocking: object) -> None:
    app = scopes.create_app({"reader": ["orders:read"], "writer": ["orders:read", "orders:write"], "guest": []})
    async with asking(app) as client:
        answers = {
            name: [await client.request(method, "/orders", headers=token(name)) for method in ("GET", "DELETE")]
            for name in ("reader", "writer", "guest", "nobody", "é")
        }
        assert (await client.get("/orders")).status_code == 401
    assert {name: [answer.status_code for answer in both] for name, both in answers.items()} == {
        "reader": [200, 403],
        "writer": [200, 200],
        "guest": [403, 403],
        "nobody": [401, 401],
        "é": [401, 401],
    }
    challenge = answers["reader"][1].headers["www-authenticate"]
    assert challenge == 'Bearer error="insufficient_scope", scope="orders:write"'
    assert answers["nobody"][0].headers["www-authenticate"] == 'Bearer error="invalid_token"'


# Whose order?


@pytest.fixture
async def shop() -> AsyncIterator[httpx.AsyncClient]:
    async with asking(object_level.create_app({"a": "alice", "b": "bob"})) as client:
        yield client


async def test_another_users_order_is_answered_like_one_that_is_not_there(
    shop: httpx.AsyncClient, no_blocking: object
) -> None:
    made = (await shop.post("/orders", json={"item": "tea"}, headers=token("a"))).json()
    assert made == {"item": "tea", "number": 1, "owner": "alice"}
    for method in ("GET", "DELETE"):
        hers, nobodys = [await shop.request(method, f"/orders/{n}", headers=token("b")) for n in (1, 2)]
        assert hers.status_code == nobodys.status_code == 404
        assert hers.content == nobodys.content
        assert dict(hers.headers) == dict(nobodys.headers)
        assert (await shop.request(method, "/orders/1")).status_code == 401
    assert (await shop.get("/orders", headers=token("b"))).json() == []
    assert (await shop.get("/orders", headers=token("a"))).json() == [made]
    assert (await shop.get("/orders/1", headers=token("a"))).json() == made
    assert (await shop.delete("/orders/1", headers=token("a"))).json() == made
    assert (await shop.get("/orders/1", headers=token("a"))).status_code == 404


async def test_the_owner_is_who_asks_whatever_the_body_says(shop: httpx.AsyncClient) -> None:
    for extra in ({"owner": "bob"}, {"number": 7}):
        refused = await shop.post("/orders", json={"item": "tea"} | extra, headers=token("a"))
        assert refused.status_code == 422
    assert (await shop.get("/orders", headers=token("b"))).json() == []


async def test_a_naive_shop_shows_everything_and_lets_the_body_name_the_owner() -> None:
    class Order(BaseModel):
        item: str
        owner: str

    app, orders = FastAPI(), dict[int, Order]()

    @app.post("/orders")
    async def create(order: Order, _: Bearer) -> int:
        orders[len(orders) + 1] = order
        return len(orders)

    @app.get("/orders/{number}")
    async def one(number: int, _: Bearer) -> Order:
        if number not in orders:
            raise HTTPException(404)
        return orders[number]

    async with asking(app) as client:
        await client.post("/orders", json={"item": "tea", "owner": "bob"}, headers=token("a"))
        assert (await client.get("/orders/1", headers=token("c"))).json() == {"item": "tea", "owner": "bob"}


# Rates


class Four:
    """Four processes that share a real Redis."""

    def __init__(self, redis_url: str) -> None:
        self.env = {"REDIS_URL": redis_url, "RATE_LIMIT": "20/hour"}
        with ThreadPoolExecutor() as pool:
            self.workers = list(pool.map(self.launched, range(4)))

    def launched(self, _: int) -> Launched:
        command = ["uvicorn", "tests.snippets.security_worker:app", "--port", "{port}", "--log-level", "warning"]
        return launch(command, cwd=ROOT, env=self.env, ready="/docs", seconds=60)

    async def ask(self, path: str, times: int) -> list[httpx.Response]:
        """So many requests at once, shared out evenly among the processes."""
        async with httpx.AsyncClient(timeout=60) as client:
            urls = [self.workers[number % 4].url + path for number in range(times)]
            return await asyncio.gather(*[client.get(url) for url in urls])

    def stop(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Launched.stop, self.workers))


@pytest.fixture(scope="module")
def real_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRedis]:
    if not PROGRAM:
        pytest.skip(ABSENT)
    server = RealRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def four(real_redis: RealRedis) -> Iterator[Four]:
    processes = Four(real_redis.url)
    yield processes
    processes.stop()


async def flush(redis: RealRedis) -> None:
    async with Redis.from_url(redis.url) as client:
        await client.flushall()


async def test_of_a_burst_on_four_processes_exactly_the_limit_passes(four: Four, real_redis: RealRedis) -> None:
    for _ in range(3):
        await flush(real_redis)
        answers = await four.ask("/shared/search", 200)
        assert Counter(answer.status_code for answer in answers) == {200: 20, 429: 180}
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"client";q=20;w=3600'}
        for answer in answers:
            [(left, wait)] = re.findall(r'^"client";r=(\d+);t=(\d+)$', answer.headers["ratelimit"])
            left, wait = int(left), int(wait)
            assert 0 <= left < 20
            assert 3500 < wait <= 3600
            if answer.status_code == 429:
                assert answer.headers["retry-after"] == str(wait)
                assert left == 0


async def test_each_of_four_processes_with_a_limit_of_its_own_lets_the_limit_pass(four: Four) -> None:
    answers = await four.ask("/memory/search", 200)
    assert Counter(answer.status_code for answer in answers) == {200: 80, 429: 120}


async def test_who_looks_first_and_counts_then_lets_more_pass(four: Four, real_redis: RealRedis) -> None:
    passed = []
    for _ in range(3):
        await flush(real_redis)
        passed.append(sum(answer.status_code == 200 for answer in await four.ask("/two_steps/search", 200)))
    assert max(passed) > 20


class Clock:
    """Stands for the module `time` in `limits`."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


async def test_in_no_stretch_of_that_length_does_more_than_the_limit_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    for module in ("limits.aio.storage.memory", "limits.aio.strategies", "app_snippets.security.rate_limit"):
        monkeypatch.setattr(f"{module}.time", clock)
    fixed, moved = FixedWindowRateLimiter(MemoryStorage()), []
    async with asking(rate_limit.create_app(MemoryStorage(), "10/minute")) as client:

        async def pass_of(requests: int) -> list[int]:
            moving = [(await client.get("/search")).status_code == 200 for _ in range(requests)]
            return [sum(moving), sum([await fixed.hit(parse("10/minute"), "client") for _ in range(requests)])]

        for later, requests in [(0, 1), (59, 20), (2, 20)]:
            clock.now += later
            moved.append(await pass_of(requests))
        # at 59 s, 9 more of each; at 61 s, 1 of the moving window, and 10 of the fixed one: 19 in two seconds
        assert moved == [[1, 1], [9, 9], [1, 10]]
        answer = await client.get("/search")
        assert answer.headers["retry-after"] == "58"  # those of the 59th second are forgotten in the 119th
        clock.now += 58.1
        assert (await client.get("/search")).status_code == 200


async def test_a_client_that_is_limited_blocks_nobody(no_blocking: object) -> None:
    async with asking(rate_limit.create_app(MemoryStorage(), "2/minute")) as client:
        assert [(await client.get("/search")).status_code for _ in range(3)] == [200, 200, 429]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]
        return port


@pytest.mark.parametrize(("open_without_redis", "status"), [(True, 200), (False, 503)], ids=["open", "closed"])
async def test_without_redis_it_does_what_was_chosen(
    open_without_redis: bool, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{closed_port()}")
    app = rate_limit.create_app(limit="1/minute", open_without_redis=open_without_redis)
    async with app.router.lifespan_context(app), asking(app) as client:
        answers = [await client.get("/search") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status] * 3
    assert "no rate limit for now" in caplog.text
    assert status == 200 or answers[0].headers["retry-after"] == "1"


async def test_a_hung_redis_costs_one_short_wait(real_redis: RealRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", real_redis.url)
    await flush(real_redis)
    app, waits = rate_limit.create_app(), []
    async with app.router.lifespan_context(app), asking(app) as client:
        assert "ratelimit" in (await client.get("/search")).headers
        real_redis.hang()
        try:
            for _ in range(3):
                began = perf_counter()
                answer = await client.get("/search")
                waits.append(perf_counter() - began)
                assert answer.status_code == 200
                assert "ratelimit" not in answer.headers
        finally:
            real_redis.go_on()
        assert min(waits) < 0.4
        assert max(waits) < 1
        assert "ratelimit" in (await client.get("/search")).headers


# URLs of strangers

IPV4_INSIDE = """
    127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.254 192.168.0.1 169.254.1.1 169.254.169.254
    100.64.0.1 100.100.100.200 100.127.255.254 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1
    203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 168.63.129.16
"""
IPV6_INSIDE = """
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1
    64:ff9b::169.254.169.254 64:ff9b:1::10.0.0.1 100::1 2001::1 2001:0:a9fe:a9fe::1 2001:10::1 2001:20::1 2001:db8::1
    2002:7f00:1:: 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%2 fec0::1
    ff02::1 ff0e::1 4000::1 8000::1
"""
INSIDE = (IPV4_INSIDE + IPV6_INSIDE).split()
OUTSIDE = [
    "1.1.1.1",
    "8.8.8.8",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "2a00::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not ssrf_guard.is_public(ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_internet_is_public_on_the_ports_of_the_web(address: str) -> None:
    allowed = [port for port in (22, 80, 443, 6379, 8080) if ssrf_guard.is_public(ip_address(address), port)]
    assert allowed == [80, 443]


def test_is_global_alone_would_let_some_of_them_pass() -> None:
    passed = {address for address in INSIDE if ip_address(address).is_global}
    assert passed >= {"224.0.0.1", "168.63.129.16", "64:ff9b::127.0.0.1", "ff0e::1"}  # and more in an older Python


class Internal:
    """A service of 127.0.0.1 that has a secret, and counts who comes."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, text: str = "internal secret", **options: Any) -> None:
        self.hits: list[httpx.Headers] = []
        self.app = app = FastAPI()

        @app.get("/redirect")
        async def redirect(request: Request, to: str) -> Response:
            self.hits.append(httpx.Headers(request.headers.raw))
            return RedirectResponse(to)

        @app.get("/endless")
        async def endless(wait: float = 0) -> Response:
            async def zeros() -> AsyncIterator[bytes]:
                for _ in range(100_000):
                    yield b"0" * 10_000
                    await asyncio.sleep(wait)

            return StreamingResponse(zeros())

        @app.get("/bomb")
        async def bomb() -> Response:
            return Response(gzip.compress(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"})

        @app.get("/{path:path}")
        async def secret(request: Request) -> Response:
            self.hits.append(httpx.Headers(request.headers.raw))
            return Response(text, headers={"Set-Cookie": "visitor=alice"})

        self.server: Server = serve(app, host=host, port=port, **options)
        self.url = self.server.url
        self.port = int(self.url.rpartition(":")[2])

    def __enter__(self) -> "Internal":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()


@pytest.fixture(scope="module")
def internal_server() -> Iterator[Internal]:
    with Internal() as server:
        yield server


@pytest.fixture
def internal(internal_server: Internal) -> Internal:
    internal_server.hits.clear()
    return internal_server


async def preview(url: str, transport: httpx.AsyncBaseTransport, **options: Any) -> httpx.Response:
    async with asking(ssrf_guard.create_app(transport, **options)) as client:
        return await client.get("/preview", params={"url": url})


def any_port(address: ssrf_guard.Address, port: int) -> bool:
    """As if the port were allowed, so that it is the address which is refused."""
    return ssrf_guard.is_public(address)


def resolving(*answers: list[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    """A resolver that gives one answer after the other, and the last one again."""
    left = list(answers)

    async def resolve(name: str, port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def naive_fetch(url: str) -> str:
    """Looks for words in the URL, and follows wherever it leads."""
    if re.search(r"//(localhost|127\.0\.0\.1|10\.|192\.168\.|169\.254\.)", url):
        return "refused"
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
        return (await client.get(url)).text


SPELT = [
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://127.0.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://127.000.000.001:{port}/",
    "http://127\u30020\u30020\u30021:{port}/",
    "http://\u2460\u2461\u2466.0.0.1:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[fe80::1%lo]:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://1.1.1.1@127.0.0.1:{port}/",
    "http://1.1.1.1:80@127.0.0.1:{port}/",
    "http://1.1.1.1\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@1.1.1.1/",
    "http://127.0.0.1:{port}\\@1.1.1.1/",
    "http://127.0.0.1:{port}?@1.1.1.1/",
    "https://127.0.0.1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%00.example.com:{port}/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET",
    "file:///etc/passwd",
    "data:text/plain,x",
    "http://xn--/",
    "http://a..b/",
    "http://" + "a" * 300 + "/",
    "http://127.0.0.1:99999/",
    "http://",
    "",
    " ",
    "http://127.0.0.1:{port}/\r\nX: y",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://192.0.0.192/opc/v2/instance/",
    "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/machine?comp=goalstate",
]


@pytest.mark.parametrize("url", SPELT, ids=ascii)
async def test_no_spelling_of_an_address_inside_gets_through(internal: Internal, url: str) -> None:
    answer = await preview(url.format(port=internal.port), ssrf_guard.GuardedTransport(is_allowed=any_port))
    assert answer.status_code == 400, answer.text
    assert answer.json() == {"detail": "not a public web address"}  # the same for all
    assert internal.hits == []


@pytest.mark.skipif(sys.platform == "win32", reason="there the system's resolver reads fewer spellings")
@pytest.mark.parametrize("url", ["http://2130706433:{port}/", "http://0x7f000001:{port}/", "http://127.1:{port}/"])
async def test_they_get_through_a_filter_of_words(internal: Internal, url: str) -> None:
    assert await naive_fetch("http://127.0.0.1/") == "refused"
    assert await naive_fetch(url.format(port=internal.port)) == "internal secret"


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    for answer in ([address], ["93.184.216.34", address], [address, "93.184.216.34"], []):
        refused = await preview("http://innocent.example/", ssrf_guard.GuardedTransport(resolving(answer)))
        assert refused.status_code == 400


async def test_other_ports_and_credentials_are_refused_at_a_public_address() -> None:
    guard = ssrf_guard.GuardedTransport(resolving(["93.184.216.34"]))
    for url in ("http://public.example:22/", "http://public.example:6379/", "http://ada:x@public.example/"):
        assert (await preview(url, guard)).status_code == 400


async def test_a_name_that_leads_to_an_allowed_server_passes_and_keeps_its_host(internal: Internal) -> None:
    guard = ssrf_guard.GuardedTransport(resolving(["127.0.0.1"]), lambda address, port: port == internal.port)
    answer = await preview(f"http://public.example:{internal.port}/", guard)
    assert answer.json() == {"status": 200, "text": "internal secret"}
    [hit] = internal.hits
    assert hit["host"] == f"public.example:{internal.port}"


async def test_it_passes_in_a_real_server_too(internal: Internal) -> None:
    guard = ssrf_guard.GuardedTransport(resolving(["127.0.0.1"]), lambda address, port: port == internal.port)
    with serve(ssrf_guard.create_app(guard)) as server:
        url = f"{server.url}/preview"
        async with httpx.AsyncClient() as client:
            good = await client.get(url, params={"url": f"http://public.example:{internal.port}/"})
            bad = await client.get(url, params={"url": f"http://127.0.0.1:{internal.port + 1}/"})
    assert [good.status_code, bad.status_code] == [200, 400]
    assert len(internal.hits) == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="there 127.0.0.2 is not this machine")
async def test_a_name_that_leads_elsewhere_the_second_time_is_not_asked_a_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding. 127.0.0.2 stands for a public address here, and 127.0.0.1 is inside."""
    with Internal("127.0.0.2", text="public") as public, Internal(port=public.port) as inside:
        asked, real = [], socket.getaddrinfo

        def rebinding(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
            if host in ("rebinding.example", b"rebinding.example"):
                asked.append(host)
                host = "127.0.0.2" if len(asked) == 1 else "127.0.0.1"
            return real(host, port, *rest, **named)

        def allowed(address: Any, port: int = 0) -> bool:
            return str(address) == "127.0.0.2"

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        url = f"http://rebinding.example:{public.port}/"
        guard = ssrf_guard.GuardedTransport(is_allowed=allowed)
        assert (await preview(url, guard)).json()["text"] == "public"
        assert len(asked) == 1
        assert (await preview(url, guard)).status_code == 400  # now it leads inside, and that is seen
        assert (len(public.hits), len(inside.hits)) == (1, 0)

        asked.clear()
        addresses = [found[-1][0] for found in socket.getaddrinfo("rebinding.example", public.port)]
        assert all(map(allowed, addresses))  # the naive one checks a name, and then connects to a name
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(url)).text == "internal secret"


async def test_a_redirect_inside_is_not_followed(internal: Internal) -> None:
    with Internal(text="public") as public:
        guard = ssrf_guard.GuardedTransport(resolving(["127.0.0.1"]), lambda address, port: port == public.port)
        url = f"http://public.example:{public.port}/redirect?to={quote(internal.url, safe='')}"
        assert (await preview(url, guard)).json() == {"status": 307, "text": ""}
        async with httpx.AsyncClient(transport=guard, follow_redirects=True) as client:  # each hop is checked
            with pytest.raises(ValueError, match="not a public web address"):
                await client.get(url)
        assert (len(public.hits), len(internal.hits)) == (2, 0)
        assert await naive_fetch(url.replace("public.example", "0x7f000001")) == "internal secret"


async def test_tls_is_checked_against_the_name_and_the_name_alone() -> None:
    authority, at_server, at_client = (
        trustme.CA(),
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.create_default_context(),
    )
    authority.issue_cert("public.example").configure_cert(at_server)
    authority.configure_trust(at_client)
    with Internal(tls=at_server) as server:

        def allowed(address: Any, port: int) -> bool:
            return port == server.port

        guard = ssrf_guard.GuardedTransport(resolving(["127.0.0.1"]), allowed, verify=at_client)
        for name, status in [("public.example", 200), ("other.example", 502), ("public.example", 200)]:
            assert (await preview(f"https://{name}:{server.port}/", guard)).status_code == status
        assert (await preview(f"https://127.0.0.1:{server.port}/", guard)).status_code == 502
        assert len(server.hits) == 2


async def test_size_and_time_have_an_end(internal: Internal) -> None:
    guard = ssrf_guard.GuardedTransport(resolving(["127.0.0.1"]), lambda address, port: port == internal.port)
    base = f"http://public.example:{internal.port}"
    assert (await preview(f"{base}/endless", guard)).json() == {"detail": "too large"}
    began = perf_counter()
    slow = await preview(f"{base}/endless?wait=0.2", guard, seconds=0.5, limit=10**9)
    assert (slow.status_code, slow.json()) == (502, {"detail": "no answer, or too slow"})
    assert perf_counter() - began < 3
    bomb = await preview(f"{base}/bomb", guard)
    assert len(bomb.content) < 1_000_000  # it is not unpacked


async def test_nothing_of_one_visitor_goes_with_the_url_of_another(
    internal: Internal, monkeypatch: pytest.MonkeyPatch, no_blocking: object
) -> None:
    guard = ssrf_guard.GuardedTransport(resolving(["127.0.0.1"]), lambda address, port: port == internal.port)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    async with asking(ssrf_guard.create_app(guard)) as client:
        for _ in range(2):
            url = f"http://public.example:{internal.port}/"
            answer = await client.get("/preview", params={"url": url}, headers=token("alice") | {"Cookie": b"a=b"})
            assert answer.status_code == 200
    assert len(internal.hits) == 2
    assert all(not {"cookie", "authorization"} & hit.keys() for hit in internal.hits)


# Secrets and docs


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("bearer_token", ["API_TOKENS"]),
        ("jwt_tokens", ["JWT_KEYS", "JWT_ISSUER", "JWT_AUDIENCE"]),
        ("scopes", ["GRANTS"]),
        ("object_level", ["USERS"]),
        ("secret_settings", ["SIGNING_KEY"]),
    ],
)
def test_without_its_secret_it_does_not_start_and_says_so_in_one_line(module: str, names: list[str]) -> None:
    command = [sys.executable, "-m", "uvicorn", "--factory", f"app_snippets.security.{module}:create_app"]
    env = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [*command, "--port", str(closed_port())], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    [line] = (done.stdout + done.stderr).strip().splitlines()
    assert all(name in line for name in names)


WEAK = "hunter2"


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("bearer_token", "API_TOKENS", WEAK),
        ("bearer_token", "API_TOKENS", ""),
        ("bearer_token", "API_TOKENS", NEW.decode() + ","),
        ("secret_settings", "SIGNING_KEY", WEAK),
        ("secret_settings", "SIGNING_KEY", ""),
        ("jwt_tokens", "JWT_KEYS", '{"keys": [{"kty": "oct", "k": "hunter2"}]}'),
        ("jwt_tokens", "JWT_KEYS", "hunter2"),
        ("scopes", "GRANTS", "hunter2"),
        ("scopes", "GRANTS", '["hunter2"]'),
        ("object_level", "USERS", '{"hunter2": 1}'),
    ],
)
def test_with_a_weak_or_broken_secret_it_does_not_start_and_does_not_quote_it(
    module: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("JWT_ISSUER", "JWT_AUDIENCE"):
        monkeypatch.setenv(other, "x")
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        globals()[module].create_app()
    assert name in str(ended.value)
    assert WEAK not in str(ended.value)
    assert NEW.decode() not in str(ended.value)


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("secret_settings", "SIGNING_KEY", WEAK),
        ("scopes", "GRANTS", '{"a token": "hunter2"}'),
        ("object_level", "USERS", '{"a token": ["hunter2"]}'),
    ],
)
def test_an_error_of_the_settings_alone_does_not_quote_the_secret(
    module: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match="1 validation error") as refused:
        globals()[module].Settings()
    assert WEAK not in str(refused.value)


def test_a_naive_error_quotes_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNING_KEY", WEAK)

    class Naive(BaseSettings):
        signing_key: Annotated[SecretStr, Field(min_length=32)]

    with pytest.raises(ValidationError, match=WEAK):
        Naive()


async def test_a_secret_is_read_from_the_environment_or_a_file_and_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = token_urlsafe(32)
    (tmp_path / "signing_key").write_text(key + "\n")  # an editor's newline is no part of it
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    read = secret_settings.load()
    assert read.signing_key.get_secret_value() == key
    assert read.database_password
    assert read.database_password.get_secret_value() == "hunter2"
    async with asking(secret_settings.create_app()) as client:
        answer = await client.get("/")
    assert answer.json() == {"signing_key": "**********", "database_password": "**********", "pool_size": 5}
    for shown in (repr(read), str(read), f"{read.signing_key}", repr(read.model_dump()), read.model_dump_json()):
        assert key not in shown
        assert "hunter2" not in shown
    monkeypatch.setenv("SIGNING_KEY", "e" * 32)
    assert secret_settings.load().signing_key.get_secret_value() == "e" * 32  # the environment comes first


@pytest.mark.parametrize(("value", "status"), [(None, 404), ("false", 404), ("true", 200)])
async def test_the_docs_are_off_unless_they_are_turned_on(
    value: str | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCS", raising=False)
    if value:
        monkeypatch.setenv("DOCS", value)
    app = production_docs.create_app()
    async with asking(app) as client:
        paths = ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect")
        assert {(await client.get(path)).status_code for path in paths} == {status}
        assert (await client.get("/")).json() == {"hello": "world"}
    assert app.openapi()["paths"].keys() == {"/"}  # for a schema that is published elsewhere
