"""A JSON Web Token is believed after all checks: key, algorithm, issuer, audience, and from when until when it is good.

Shows:  PyJWT with keys out of a fixed set, by `kid`. The key says which algorithm is used, never the token. To rotate,
        add the new key, sign with it, and take the old one out when the last token of it has run out.
Costs:  a signature check a request. A token is good until `exp`, whatever became of its user: let it live for minutes.
Needs:  fastapi uvicorn pyjwt cryptography pydantic-settings
Run:    JWT_KEYS='{"keys":[{"kid":"1","kty":"OKP","crv":"Ed25519","x":"atm8x2Lvt8UGp9ilJ3MphUeqelG6R--PoDIk4jPIojo"}]}'\
        JWT_ISSUER=https://login.example JWT_AUDIENCE=orders \
        uvicorn --factory jwt_tokens:create_app    then    curl -i http://127.0.0.1:8000/me
        the answer is 401 until you send a token of that issuer. JWT_KEYS is its JWK set: these keys are public.
"""

from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import ValidationError
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    jwt_keys: str
    jwt_issuer: str
    jwt_audience: str


class Verifier:
    """Called with a token, returns its claims, or raises PyJWTError."""

    def __init__(self, settings: Settings) -> None:
        keys = jwt.PyJWKSet.from_json(settings.jwt_keys).keys
        self.keys = {key.key_id: key for key in keys if key.key_id}
        self.issuer, self.audience = settings.jwt_issuer, settings.jwt_audience

    def __call__(self, token: str) -> dict[str, Any]:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except RecursionError:  # JSON in JSON in JSON, and nobody has signed it
            raise jwt.DecodeError("too deep") from None
        key = self.keys.get(kid or "")  # a name to look up: neither a path, nor an address to fetch a key from
        if key is None:
            raise jwt.InvalidKeyError("no such key")
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=self.issuer,
            audience=self.audience,
            leeway=10,  # seconds that clocks may differ
            options={"require": ["exp", "nbf", "iss", "aud", "sub"]},  # without this, what is absent is not checked
        )


def create_app(settings: Settings | None = None) -> FastAPI:
    try:
        verify = Verifier(settings or Settings())
    except (ValidationError, jwt.PyJWKSetError) as error:
        raise SystemExit(f"JWT_KEYS, JWT_ISSUER and JWT_AUDIENCE: {type(error).__name__}, see Settings") from None
    app = FastAPI()

    async def claims(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> dict[str, Any]:
        try:
            return verify(credentials.credentials)
        except jwt.PyJWTError:  # why, is for your log: an attacker need not know how near he came
            raise HTTPException(401, "invalid token", {"WWW-Authenticate": 'Bearer error="invalid_token"'}) from None

    @app.get("/me", responses={401: {}})
    async def me(claims: Annotated[dict[str, Any], Depends(claims)]) -> dict[str, str]:
        return {"user": claims["sub"]}

    return app
