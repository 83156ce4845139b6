"""The checks of chapter 07: each plays the attacker, and the client whom the answer must not turn away."""

import asyncio
import ipaddress
import json
import re
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.judging import awaitable, called, exercise, require, shown


def prepare() -> None:
    """Imports what takes long: an answer's time must not pass with it."""
    import httpx  # noqa: F401
    import jwt  # noqa: F401
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: F401
    from fastapi import FastAPI  # noqa: F401


def made(answer: Any, what: str, *arguments: Any) -> Any:
    """The app that the answer makes."""
    with called(what):
        app = answer(*arguments)
    require(callable(app), got=shown(app), expected="an app", look="return app")
    return app


async def send(app: Any, what: str, method: str, path: str, headers: list[tuple[bytes, bytes]], **body: Any) -> Any:
    """One request to the app, named by `what`. What the app raises refuses the answer."""
    import httpx

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app", trust_env=False) as client:
        with called(what):
            return await client.request(method, path, headers=headers, **body)


def status_is(answered: Any, expected: int, look: str = "") -> None:
    require(
        answered.status_code == expected,
        got=f"status {answered.status_code}",
        expected=f"status {expected}",
        look=look,
    )


# 7.1 Bearer


@exercise("7.1", seconds=8)
async def bearer(answer: Callable[[list[str]], Any]) -> str:
    """A bearer token, and nothing else."""
    first, second = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    app = made(answer, "make_app(tokens), with two tokens", [first, second])

    async def ask(what: str, *values: bytes, of: Any = None) -> Any:
        headers = [(b"Authorization", value) for value in values]
        return await send(of or app, f"GET /account with {what}", "GET", "/account", headers)

    for what, value, look in (
        ("the first token", f"Bearer {first}", "HTTPBearer gives the scheme and the token: it is in .credentials"),
        ("the second token", f"Bearer {second}", "any of the tokens is good"),
        (
            "a good token and the scheme in small letters",
            f"bearer {first}",
            "names of schemes have no capitals that matter",
        ),
    ):
        answered = await ask(what, value.encode())
        status_is(answered, 200, look)
        body = shown(answered.json())
        require(body == shown({"hello": "caller"}), got=body, expected=shown({"hello": "caller"}))

    good = first.encode()
    wrong: dict[str, tuple[list[bytes], str]] = {
        "no Authorization header": ([], "fastapi.security.HTTPBearer answers this by itself"),
        "a good token, but the scheme Basic": ([b"Basic " + good], "the scheme belongs to the credentials"),
        "the scheme and no token": ([b"Bearer"], ""),
        "a wrong token": ([b"Bearer " + secrets.token_urlsafe(24).encode()], UNKNOWN),
        "a good token without its last character": ([b"Bearer " + good[:-1]], WHOLE),
        "a good token and one character more": ([b"Bearer " + good + b"A"], WHOLE),
        "a good token in the other capitals": (
            [b"Bearer " + good.swapcase()],
            "only the scheme has no capitals that matter",
        ),
        "a token with an é": ([b"Bearer caf\xe9"], BYTES),
        "a good token and an é": ([b"Bearer " + good + b"\xe9"], DROPPED),
        "a million characters": ([b"Bearer " + b"x" * 1_000_000], ""),
    }
    for what, (values, look) in wrong.items():
        answered = await ask(what, *values)
        status_is(answered, 401, look)
        challenge = answered.headers.get("www-authenticate", "")
        require(
            challenge.lower().partition(" ")[0] == "bearer",
            got=f"WWW-Authenticate: {challenge}" if challenge else "no WWW-Authenticate",
            expected="WWW-Authenticate: Bearer",
            look='HTTPException(401, headers={"WWW-Authenticate": "Bearer"}): a 401 says how to do it right',
        )
    other = made(answer, "make_app(tokens), with another token", [secrets.token_urlsafe(24)])
    answered = await ask("a token that is good for another app", b"Bearer " + good, of=other)
    status_is(answered, 401, "the tokens are those that make_app was given, for that app alone")
    return "both tokens pass; all others get a 401 and the challenge, whatever their bytes"


UNKNOWN = "403 is for somebody whom you know: a client whose token is unknown gets 401, and may try again"
WHOLE = "the whole token, compared with secrets.compare_digest"
BYTES = "secrets.compare_digest takes text of ASCII only: encode both sides"
DROPPED = "encode() as it is: what errors= leaves out makes a good token of a wrong one"

# 7.2 JWT

ISSUER, AUDIENCE = "https://login.example", "orders"
Verify = Callable[[str, Mapping[str, Mapping[str, str]]], Any]


class Issuer:
    """Signs with a key of its own. `keys` are its public ones, by kid."""

    def __init__(self, *kids: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self.private = {kid: Ed25519PrivateKey.generate() for kid in kids}
        self.keys = {kid: self.jwk(kid) for kid in kids}

    def jwk(self, kid: str) -> dict[str, str]:
        import jwt

        public: dict[str, str] = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(self.private[kid].public_key()))
        return public | {"kid": kid}

    def sign(self, kid: str, *, said: str | None = None, header: Mapping[str, Any] = {}, **changes: Any) -> str:
        """A token with the usual claims, changed; None leaves a claim out. `said` is the kid in its header."""
        import jwt

        now = int(time.time())
        claims = {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "nbf": now - 60, "exp": now + 300} | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": said or kid, **header}
        return jwt.encode(claims, self.private[kid], algorithm="EdDSA", headers=headers)


@exercise("7.2", seconds=8)
async def verified(answer: Verify) -> str:
    """A token, verified."""
    import jwt

    ours, stranger, now = Issuer("1", "2"), Issuer("1"), int(time.time())
    for kid in ours.keys:
        with called(f"verify(token, keys), with a good token of key {kid}"):
            claims = answer(ours.sign(kid), ours.keys)
        require(
            isinstance(claims, Mapping) and claims.get("sub") == "alice",
            got=shown(claims),
            expected="the claims, with sub alice",
            look="jwt.decode(...) returns them; the keys are JWKs: jwt.PyJWK(keys[kid])",
        )
    with on_disk(stranger.keys["1"]) as path:
        for what, token, look in forgeries(ours, stranger, now, path):
            with called(f"verify(token, keys), with a token {what}"):
                try:
                    claims = answer(token, ours.keys)
                except jwt.PyJWTError:
                    continue
                except Exception as error:  # an unhandled one is a 500, where a PyJWTError becomes a 401
                    require(False, got=f"raised {shown(error)}", expected="a jwt.PyJWTError", look=look)
                if not isinstance(claims, Mapping):
                    look = "raise it, or let PyJWT's own pass: what comes back is taken for claims"
                believed = "its claims" if isinstance(claims, Mapping) else shown(claims)
                require(False, got=believed, expected="a jwt.PyJWTError", look=look)
    late, early = ours.sign("1", exp=now - 15), ours.sign("1", nbf=now + 15)
    for what, token in {"that ended 15 s ago": late, "that begins in 15 s": early}.items():
        with called(f"verify(token, keys), with a good token {what}"):
            try:
                claims = answer(token, ours.keys)
            except jwt.PyJWTError as error:
                claims = error
        require(
            isinstance(claims, Mapping),
            got=shown(claims),
            expected="its claims",
            look="leeway=30: the issuer's clock is not yours",
        )
    return "good tokens of both keys are believed, and each forgery is refused"


@contextmanager
def on_disk(jwk: Mapping[str, str]) -> Iterator[str]:
    """The path of a file with that key."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "key.json")
        path.write_text(json.dumps(jwk), encoding="utf-8")
        yield str(path)


def forgeries(ours: Issuer, stranger: Issuer, now: int, path: str) -> list[tuple[str, str, str]]:
    import jwt
    from jwt.utils import base64url_decode, base64url_encode

    good = ours.sign("1")
    head, claims, _ = good.split(".")
    none = base64url_encode(json.dumps({"alg": "none", "kid": "1"}).encode()).decode()
    public = base64url_decode(ours.keys["1"]["x"])
    now_claims = {"sub": "root", "iss": ISSUER, "aud": AUDIENCE, "nbf": now - 60, "exp": now + 300}
    as_secret = jwt.encode(now_claims, public, algorithm="HS256", headers={"kid": "1"})
    signature = "without its signature there is no token, only a claim: jwt.decode with a key"
    by_key = "the key says which algorithm is used, never the token: algorithms=[key.algorithm_name]"
    known = "keys.get(kid): a key that is not there is an error, and nothing else is a key"
    required = 'options={"require": ["exp", "iss", "aud", "sub"]}: what is absent is not checked'
    return [
        ("that a stranger has signed", stranger.sign("1"), signature),
        ("with alg none", f"{none}.{claims}.", by_key),
        ("that is signed with the public key, as HS256", as_secret, by_key),
        ("that is cut off", good[:-8], signature),
        (
            "whose claims are another's",
            f"{head}.{ours.sign('1', sub='root').split('.')[1]}.{good.split('.')[2]}",
            signature,
        ),
        ("that is no token", "no.token", "let jwt.PyJWTError pass"),
        ("that has expired a minute ago", ours.sign("1", exp=now - 60), "exp; a leeway of seconds, for clocks"),
        ("that has expired an hour ago", ours.sign("1", exp=now - 3600), "a leeway is for clocks, and of seconds"),
        ("without an end", ours.sign("1", exp=None), required),
        ("that is good in an hour", ours.sign("1", nbf=now + 3600), "nbf"),
        ("for another audience, preorders", ours.sign("1", aud="preorders"), f'audience="{AUDIENCE}"'),
        ("for no audience", ours.sign("1", aud=None), required),
        (
            f"of another issuer, {ISSUER}.evil.example",
            ours.sign("1", iss=f"{ISSUER}.evil.example"),
            f'issuer="{ISSUER}"',
        ),
        ("without an issuer", ours.sign("1", iss=None), required),
        ("without a user", ours.sign("1", sub=None), required),
        ("with a kid that nobody knows", stranger.sign("1", said="3"), known),
        ("with a kid that is the path of the attacker's key", stranger.sign("1", said=path), known),
        ("that brings its own key along", stranger.sign("1", header={"jwk": stranger.keys["1"]}), known),
        ("of a good key under a name that nobody knows", ours.sign("1", said="3"), known),
    ]


# 7.3 Objects

PEOPLE = {"a1": "alice", "b1": "bob"}


@exercise("7.3", seconds=8)
async def objects(answer: Callable[[Any, Any], Any]) -> str:
    """Everybody their own orders."""
    orders = {1: {"owner": "alice", "item": "ring"}, 2: {"owner": "bob", "item": "tea"}}
    app = made(answer, "make_app(user_of, orders)", PEOPLE.get, orders)

    async def ask(token: str, method: str, path: str, what: str = "", extra: Any = (), **body: Any) -> Any:
        who = PEOPLE.get(token, "nobody")
        headers = [(b"Authorization", f"Bearer {token}".encode()), *extra]
        return await send(app, f"{method} {path} as {who}{what}", method, path, headers, **body)

    def gives(answered: Any, expected: Any, look: str = "") -> None:
        got = answered.json()
        require(got == expected, got=shown(got), expected=shown(expected), look=look)

    own = await ask("a1", "GET", "/orders/1")
    status_is(own, 200, "her own order is hers to read")
    gives(own, {"owner": "alice", "item": "ring"})
    missing = await ask("b1", "GET", "/orders/99", ", which is not there")
    status_is(missing, 404)
    hers = await ask("b1", "GET", "/orders/1", ", which is alice's")
    require(
        hers.status_code not in (200, 403),
        got=f"status {hers.status_code}",
        expected="status 404, as for one that is not there",
        look="who is known is not yet allowed: ask whose order it is"
        if hers.status_code == 200
        else "a 403 tells bob that there is an order 1",
    )
    status_is(hers, 404)
    alike(hers, missing)
    for what, query, extra in WISHES:
        answered = await ask("b1", "GET", f"/orders/1{query}", what, extra)
        status_is(answered, 404, WRITTEN)
    listed = await ask("b1", "GET", "/orders")
    status_is(listed, 200)
    gives(listed, [{"owner": "bob", "item": "tea"}], EACH)

    missing = await ask("b1", "DELETE", "/orders/99", ", which is not there")
    status_is(missing, 404)
    deleted = await ask("b1", "DELETE", "/orders/1", ", which is alice's")
    still_there(deleted, orders, "first the check, then the change")
    status_is(deleted, 404, "the same answer as for one that is not there")
    alike(deleted, missing)
    for what, query, extra in WISHES:
        answered = await ask("b1", "GET", f"/orders{query}", what, extra)
        if answered.status_code not in (400, 422):
            status_is(answered, 200)
            gives(answered, [{"owner": "bob", "item": "tea"}], WRITTEN)
        answered = await ask("b1", "DELETE", f"/orders/1{query}", what, extra)
        still_there(answered, orders, WRITTEN)
    created = await ask(
        "b1", "POST", "/orders", ", with alice as owner in the body", json={"item": "cup", "owner": "alice"}
    )
    require(
        [order["owner"] for order in orders.values()].count("alice") == 1,
        got=f"status {created.status_code}, and an order in alice's name",
        expected="an order of bob, or status 422",
        look="the owner is whose token it is; a model without an owner does not take one from the body",
    )
    wish = {"item": "rum", "number": 1, "id": 1}
    created = await ask("b1", "POST", "/orders", ", with the number of alice's order in the body", json=wish)
    require(
        orders.get(1) == {"owner": "alice", "item": "ring"},
        got=f"status {created.status_code}, and alice's order is {shown(orders.get(1))}",
        expected="her order as it was",
        look="the app counts the numbers: one that the body names may be taken",
    )
    before = len(orders)
    created = await ask("b1", "POST", "/orders", json={"item": "milk"})
    require(created.status_code < 300, got=f"status {created.status_code}", expected="status 200 or 201")
    require(
        len(orders) == before + 1 and {"owner": "bob", "item": "milk"} in orders.values(),
        got=shown(list(orders.values())),
        expected="one more in orders, with the owner bob",
    )
    gone = await ask("b1", "DELETE", "/orders/2")
    require(
        gone.status_code < 300 and 2 not in orders,
        got=f"status {gone.status_code}, and the order {'is gone' if 2 not in orders else 'is still there'}",
        expected="status 200, and the order gone",
        look="his own order is his to delete",
    )
    nobody = await ask("x", "GET", "/orders")
    status_is(nobody, 401, "a token that user_of does not know")
    return "each sees, orders and deletes in their own name; another's order is one that is not there"


WISHES: list[tuple[str, str, list[tuple[bytes, bytes]]]] = [
    (", with ?user=alice", "?user=alice&owner=alice", []),
    (", with headers that name alice", "", [(b"X-User", b"alice"), (b"X-Forwarded-User", b"alice")]),
    (", with headers of an admin", "", [(b"X-Admin", b"true"), (b"X-Role", b"admin")]),
]
WRITTEN = "who it is, is what user_of says of the token. All else the client has written"
EACH = "a list has as many owners as it has orders: look at each"


def alike(hers: Any, missing: Any) -> None:
    """Refuses a 404 that tells by its text. The number asked for may stand in it."""
    require(
        re.sub(r"\d+", "N", hers.text) == re.sub(r"\d+", "N", missing.text),
        got=shown(hers.text),
        expected=f"{shown(missing.text)}, as for one that is not there",
        look="one answer for both: the text tells as much as the status",
    )


def still_there(deleted: Any, orders: Any, look: str) -> None:
    require(
        1 in orders,
        got=f"status {deleted.status_code}, and alice's order is gone",
        expected="status 404, and the order still there",
        look=look,
    )


# 7.4 SSRF

PUBLIC = "93.184.215.14"
INSIDE = {
    "loopback": "127.0.0.1",
    "loopback elsewhere": "127.8.8.8",
    "nothing": "0.0.0.0",
    "a private network": "10.1.2.3",
    "another": "172.20.0.1",
    "and another": "192.168.1.1",
    "the metadata of a cloud": "169.254.169.254",
    "the network of a provider": "100.64.0.1",
    "multicast": "224.0.0.1",
    "everybody": "255.255.255.255",
    "loopback in IPv6": "::1",
    "a private network in IPv6": "fd00::1",
    "a link in IPv6": "fe80::1",
    "loopback, as IPv4 in IPv6": "::ffff:127.0.0.1",
    "loopback behind NAT64": "64:ff9b::7f00:1",
    "multicast in IPv6": "ff0e::1",
}
LOOPBACK = ("localhost", "127.1", "0177.0.0.1", "2130706433", "0x7f000001")
Resolve = Callable[[str, int], Awaitable[list[str]]]


class Internet:
    """Names, what they lead to, and who was connected to."""

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.connected: list[tuple[str, int, str]] = []
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"a page")

    def lead(self, name: str, *answers: list[str]) -> None:
        """What the name leads to, each time that it is asked for; the last one stays."""
        self.names[name] = list(answers)

    async def resolve(self, name: str, port: int) -> list[str]:
        """As getaddrinfo does it: an address leads to itself, however it is written."""
        await asyncio.sleep(0)
        answers = self.names.get(name, [["127.0.0.1"]] if name in LOOPBACK else None)
        if answers:
            return answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            return [str(ipaddress.ip_address(name))]
        except ValueError:
            return []

    async def get(self, address: str, port: int, host: str, path: str) -> tuple[int, dict[str, str], bytes]:
        await asyncio.sleep(0)
        self.connected.append((str(address), port, host))
        if host in ("inside.example", "127.0.0.1"):
            return 200, {}, b"the key to everything"
        return self.answer


@exercise("7.4", seconds=8)
async def ssrf(answer: Callable[[str, Resolve, Any], Awaitable[bytes]]) -> str:
    """A page from the internet, and from nowhere else."""
    world = Internet()

    async def fetch(url: str, what: str = "") -> Any:
        world.connected.clear()
        with called(f'await fetch("{url}", resolve, get){what}'):
            return await awaitable(answer(url, world.resolve, world.get))

    async def refused(url: str, what: str, look: str) -> None:
        with called(f'await fetch("{url}", resolve, get){what}'):
            world.connected.clear()
            try:
                got, raised = await awaitable(answer(url, world.resolve, world.get)), False
            except ValueError:
                got, raised = None, True
        reached = [address for address, _, _ in world.connected]
        require(not reached, got=f"a connection to {', '.join(reached)}", expected="none, and a ValueError", look=look)
        require(raised, got=shown(got), expected="a ValueError", look=f"raise ValueError(...): {look}")

    world.lead("public.example", [PUBLIC])
    for url, port in {"http://public.example/page": 80, "https://public.example/page": 443}.items():
        body = await fetch(url, ", which is public")
        require(body == b"a page", got=shown(body), expected=shown(b"a page"), look="return the body")
        expected = [(PUBLIC, port, "public.example")]
        named = [address for address, _, _ in world.connected if address == "public.example"]
        require(
            not named,
            got="a connection by the name",
            expected=f"one to {PUBLIC}, the address that was checked",
            look="a name is resolved again when one connects by it, and may lead elsewhere by then",
        )
        require(world.connected == expected, got=shown(world.connected), expected=shown(expected))

    for what, address in INSIDE.items():
        world.lead("evil.example", [address])
        await refused("http://evil.example/", f", which leads to {address}, {what}", CHECKED)
    for url in (
        "http://127.0.0.1/",
        *(f"http://{name}/" for name in LOOPBACK),
        "http://[::1]/",
        "http://x@127.0.0.1/",
    ):
        await refused(url, "", "not how the address is written counts, but what it resolves to")
    world.lead("evil.example", [PUBLIC, "10.0.0.1"])
    await refused("http://evil.example/", ", which leads to a public and a private address", "all that it leads to")
    world.lead("gone.example", [])
    await refused("http://gone.example/", ", which leads nowhere", "resolve gives an empty list")
    for url in ("ftp://public.example/", "file:///etc/passwd", "gopher://public.example/", "/etc/passwd"):
        await refused(url, "", "http and https, and nothing else")
    for url in ("http://public.example:22/", "http://public.example:6379/"):
        await refused(url, "", "ports 80 and 443, and nothing else")

    world.lead("rebinding.example", [PUBLIC], ["127.0.0.1"])
    body = await fetch("http://rebinding.example/", ", whose name leads inside when it is asked for again")
    reached = [address for address, _, _ in world.connected]
    require(
        reached == [PUBLIC] and body == b"a page",
        got=f"a connection to {', '.join(reached) or 'nobody'}",
        expected=f"one to {PUBLIC}, the address that was checked",
        look="ask once; what is asked for a second time may be something else",
    )
    world.lead("inside.example", ["10.0.0.1"])
    for target in ("http://inside.example/", "http://127.0.0.1/admin"):
        world.answer = (302, {"location": target}, b"")
        with called(f'await fetch("http://public.example/", resolve, get), which redirects to {target}'):
            world.connected.clear()
            try:
                got = await awaitable(answer("http://public.example/", world.resolve, world.get))
            except ValueError:
                got = None
        inside = [address for address, _, _ in world.connected if address != PUBLIC]
        require(
            not inside and b"the key" not in (got if isinstance(got, bytes) else b""),
            got=f"a connection to {', '.join(inside) or 'inside'}",
            expected="a ValueError",
            look="a redirect is another URL: do not follow it, or check it like the first",
        )
    return "public pages only, by the address that was checked, whatever the URL, the name or the page says"


CHECKED = "every address that the name leads to: ipaddress.ip_address(...).is_global, and what IPv6 may carry"
