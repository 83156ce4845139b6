"""Scopes: 401 says "I do not know you", 403 says "I know you, and you may not".

Shows:  SecurityScopes, which collects what the endpoint and all that it depends on ask for; the challenge of each.
Costs:  a look into the grants a request. Scopes are about kinds of actions: whose order it is, they do not know.
Needs:  fastapi uvicorn pydantic-settings
Run:    GRANTS='{"the-token-of-a-reader":["orders:read"]}' \
        uvicorn --factory scopes:create_app    then    curl -i http://127.0.0.1:8000/orders
        the answer is 401, and with -H "Authorization: Bearer the-token-of-a-reader" it is 200, and with -X DELETE, 403.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(hide_input_in_errors=True)
    grants: dict[str, list[str]]  # GRANTS, as JSON: the scopes of each token


def digest(token: str) -> bytes:
    """Tokens are looked up by it: how long that takes tells nothing about the token."""
    return sha256(token.encode()).digest()


def create_app(grants: Mapping[str, Collection[str]] | None = None) -> FastAPI:
    try:
        granted = {digest(token): set(scopes) for token, scopes in (grants or Settings().grants).items()}
    except ValueError:
        raise SystemExit('GRANTS is not set, or no JSON, {"token": ["orders:read"]}') from None
    app = FastAPI()

    async def caller(
        needed: SecurityScopes, credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
    ) -> set[str]:
        scopes = granted.get(digest(credentials.credentials))
        if scopes is None:
            raise HTTPException(401, "unknown token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if not scopes.issuperset(needed.scopes):
            challenge = f'Bearer error="insufficient_scope", scope="{needed.scope_str}"'
            raise HTTPException(403, f"needs {needed.scope_str}", {"WWW-Authenticate": challenge})
        return scopes

    @app.get("/orders", dependencies=[Security(caller, scopes=["orders:read"])], responses={401: {}, 403: {}})
    async def orders() -> list[str]:
        return ["tea", "milk"]

    @app.delete("/orders", dependencies=[Security(caller, scopes=["orders:write"])], responses={401: {}, 403: {}})
    async def clear() -> dict[str, int]:
        return {"deleted": 2}

    return app
