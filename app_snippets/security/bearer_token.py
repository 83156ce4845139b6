"""A bearer token done right: each wrong one gets 401 and the challenge, none a 500, and no secret is in the source.

Shows:  HTTPBearer, HTTPAuthorizationCredentials, and compare_digest on bytes, for on text it raises at the first é.
        Two tokens may be good at once, while clients change from the old one to the new one.
Costs:  a comparison a token. Whoever holds a token is the client, until you take it out and start again.
Needs:  fastapi uvicorn pydantic-settings
Run:    API_TOKENS=a-token-of-thirty-two-characters uvicorn --factory bearer_token:create_app
        the answer is 401: curl -i -H "Authorization: Bearer a-token-of-thirty-two-characters" http://127.0.0.1:8000/
        A good token: python -c "import secrets; print(secrets.token_urlsafe(32))"
"""

import re
from collections.abc import Awaitable, Callable
from secrets import compare_digest
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{32,}=*")  # what RFC 6750 lets a token be, and too long to guess


class Settings(BaseSettings):
    model_config = SettingsConfigDict(hide_input_in_errors=True)  # an error is logged, a secret is not
    api_tokens: SecretStr  # API_TOKENS: with commas between them, and no default

    def tokens(self) -> list[bytes]:
        tokens = self.api_tokens.get_secret_value().split(",")
        if not all(map(TOKEN.fullmatch, tokens)):
            raise SystemExit("API_TOKENS: each token needs 32 characters or more, of A-Z a-z 0-9 . _ ~ + / -")
        return [token.encode() for token in tokens]


def one_of(tokens: list[bytes]) -> Callable[..., Awaitable[None]]:
    """A dependency that lets a request with one of `tokens` pass."""

    async def known(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
    ) -> None:  # no header, or another scheme: HTTPBearer has answered 401 before this
        given = credentials.credentials.encode()
        matches = [compare_digest(given, token) for token in tokens]  # all: the time does not tell which one
        twice = len(request.headers.getlist("Authorization")) > 1  # a proxy may have looked at the other one
        if twice or not any(matches):
            raise HTTPException(401, "unknown token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})

    return known


def create_app(settings: Settings | None = None) -> FastAPI:
    try:
        tokens = (settings or Settings()).tokens()
    except ValidationError:
        raise SystemExit("API_TOKENS is not set: give one token, or two with a comma between them") from None
    app = FastAPI()

    @app.get("/", dependencies=[Depends(one_of(tokens))], responses={401: {}})
    async def home() -> dict[str, str]:
        return {"hello": "caller"}

    return app
