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
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    jwt_keys: str
    jwt_issuer: str
    jwt_audience: str


class Verifier:
    """Called with a token, returns its claims, or raises PyJWTError."""

    def __init__(self, settings: Settings) -> None:
        keys = jwt.PyJWKSet.from_json(settings.jwt_keys).keys
        if not all(key.key_id for key in keys):
            raise ValueError("a key without kid")
        self.keys = {key.key_id: key for key in keys}
        self.issuer, self.audience = settings.jwt_issuer, settings.jwt_audience

    def __call__(self, token: str) -> dict[str, Any]:
        kid = jwt.get_unverified_header(token).get("kid", "")
        key = self.keys.get(kid)  # a name to look up: neither a path, nor an address to fetch a key from
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
    except (ValueError, jwt.PyJWTError):
        raise SystemExit("JWT_KEYS is no set of keys with kid, or JWT_ISSUER or JWT_AUDIENCE is not set") from None
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
