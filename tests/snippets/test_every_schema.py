"""Each app of app_snippets is asked whatever its own schema admits, and what it does not, and keeps what it promises.

In this process, with the same questions in every run. What an app needs, a Redis or an upstream, is made for it here.
"""

import importlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fakeredis import FakeAsyncRedis
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from limits.aio.storage import MemoryStorage
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.python import asgi
from schemathesis.specs.openapi import checks

from lab import serve

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-thirty-two-characters"
PUBLIC_KEY = {"kid": "1", "kty": "OKP", "crv": "Ed25519", "x": "atm8x2Lvt8UGp9ilJ3MphUeqelG6R--PoDIk4jPIojo"}

SEED = seed(1)  # among its fifteen numbers is one above 2**63, which not all have
questions = settings(max_examples=15, database=None, deadline=None, suppress_health_check=list(HealthCheck))

NO_SCHEMA = {
    "wsgi_vs_asgi/calls_upstream_wsgi": "WSGI",
    "wsgi_vs_asgi/raw_asgi": "no FastAPI",
    "wsgi_vs_asgi/raw_wsgi": "WSGI",
    "wsgi_vs_asgi/waits": "no FastAPI",
}
FAILS_ON_PURPOSE = {
    ("middleware/cors_on_errors", "/fails"): "a bug, to see the headers of its 500",
    ("request_lifecycle/response_filtering", "/invalid"): "breaks its own model, to see that the client is not told",
    ("request_lifecycle/yield_cleanup", "/{outcome}"): "raises when it is asked to",
}
ERRORS_DOCUMENTED = {"security"}  # FastAPI documents no error without `responses=`, which is not the others' idea
REFUSES_MORE_THAN_A_SCHEMA_SAYS = {
    "middleware/body_limit": "an empty body is no body to FastAPI",
    "security/ssrf_guard": "which URL is public, no schema knows",
}


def passwords(module: Any) -> Any:
    made = module.Passwords()
    made.hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))  # quick
    return made


def made(name: str, upstream: str, folder: Path) -> Any:
    """The app of the snippet `name`, with what it needs."""
    module = importlib.import_module(f"app_snippets.{name.replace('/', '.')}")
    topic, _, short = name.partition("/")
    make: dict[str, Callable[[], Any]] = {
        "connection_pooling/database_pool": lambda: module.create_app(f"sqlite+aiosqlite:///{folder}/notes.db"),
        "middleware/trusted_hosts": lambda: module.create_app([asgi.HOST]),
        "request_lifecycle/transaction": lambda: module.create_app(str(folder / "orders.db")),
        "security/bearer_token": lambda: module.create_app(module.Settings(api_tokens=TOKEN)),
        "security/jwt_tokens": lambda: module.create_app(
            module.Settings(jwt_keys=json.dumps({"keys": [PUBLIC_KEY]}), jwt_issuer="here", jwt_audience="orders")
        ),
        "security/object_level": lambda: module.create_app({TOKEN: "alice"}),
        "security/password_hashing": lambda: module.create_app(passwords=passwords(module)),
        "security/production_docs": lambda: module.create_app(module.Settings(docs=True)),
        "security/rate_limit": lambda: module.create_app(MemoryStorage(), "20/hour"),
        "security/scopes": lambda: module.create_app({TOKEN: ["orders:read", "orders:write"]}),
        "security/secret_settings": lambda: module.create_app(module.Settings(signing_key=TOKEN)),
        "wsgi_vs_asgi/three_handlers": lambda: module.create_app(upstream),
        "wsgi_vs_asgi/thread_limit": lambda: module.create_app(upstream, 40),
    }
    if name in make:
        return make[name]()
    if topic == "caching" and hasattr(module, "create_app"):
        return module.create_app(FakeAsyncRedis())
    if topic == "connection_pooling":
        return module.create_app(upstream)
    if topic == "request_lifecycle" and short != "body_limit" and hasattr(module, "create_app"):
        return module.create_app(lambda _: None)
    return module.app if hasattr(module, "app") else module.create_app()


SNIPPETS = sorted(
    path.relative_to(ROOT / "app_snippets").with_suffix("").as_posix()
    for path in (ROOT / "app_snippets").glob("*/*.py")
    if path.name not in ("__init__.py", "gunicorn.conf.py")
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def anything(path: str) -> dict[str, str]:
        return {"asked": path}

    with serve(app) as server:
        yield server.url
    asgi.shutdown_lifespans()


def shortened(case: schemathesis.Case) -> schemathesis.Case:
    """A wait, or a piece of work, as long as the schema admits would take too long: as good a value, and quick."""
    for name, most in (("seconds", 0.01), ("quiet", 0.01), ("loops", 100)):
        value = case.query.get(name)
        if isinstance(value, int | float) and value > most:
            case.query[name] = most
    return case


def excluded(name: str) -> list[Any]:
    without = [] if name.partition("/")[0] in ERRORS_DOCUMENTED else [checks.status_code_conformance]
    return without + ([checks.positive_data_acceptance] if name in REFUSES_MORE_THAN_A_SCHEMA_SAYS else [])


def ask(app: Any, path: str = "/openapi.json", without: Sequence[Any] = (), leave_out: Collection[str] = ()) -> int:
    """Raises where an answer breaks the schema. Says how many questions were asked."""
    asked = 0

    def one(case: schemathesis.Case) -> None:
        nonlocal asked
        asked += 1
        headers = {"Authorization": f"Bearer {TOKEN}"}
        shortened(case).call_and_validate(headers=headers, excluded_checks=list(without))

    for found in schemathesis.openapi.from_asgi(path, app).get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:  # what the schema admits, and what it does not
            if operation.path not in leave_out:
                try:  # noqa: SIM105 (from Python 3.12 on `suppress` takes a group of failures apart)
                    questions(SEED(given(case=operation.as_strategy(generation_mode=mode))(one)))()
                except Unsatisfiable:  # of an operation without parameters there is nothing wrong to ask
                    pass
    return asked


@pytest.mark.parametrize("name", [name for name in SNIPPETS if name not in NO_SCHEMA])
def test_it_keeps_what_its_schema_promises(name: str, upstream: str, tmp_path: Path) -> None:
    path = "/fastapi/openapi.json" if name == "wsgi_vs_asgi/layers" else "/openapi.json"
    leave_out = {path for failing, path in FAILS_ON_PURPOSE if failing == name}
    assert ask(made(name, upstream, tmp_path), path, excluded(name), leave_out) or leave_out


def breaks_its_model() -> Any:
    return JSONResponse({"name": 1})


def fails_above_what_a_database_can_store(number: int) -> dict[str, int]:
    return {"name": int.from_bytes(number.to_bytes(8, signed=True))}


def undocumented() -> None:
    raise HTTPException(418)


@pytest.mark.parametrize("endpoint", [breaks_its_model, fails_above_what_a_database_can_store, undocumented])
def test_a_broken_promise_is_noticed(endpoint: Callable[..., Any], upstream: str) -> None:
    app = FastAPI()
    app.get("/", response_model=dict[str, str] if endpoint is breaks_its_model else None)(endpoint)
    with pytest.raises((FailureGroup, OverflowError)):
        ask(app)


@pytest.mark.parametrize("name", NO_SCHEMA)
def test_what_is_left_out_has_no_schema(name: str) -> None:
    module = importlib.import_module(f"app_snippets.{name.replace('/', '.')}")
    assert not hasattr(getattr(module, "app", None), "openapi")
