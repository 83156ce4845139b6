"""Passwords are kept as argon2 hashes, and hashed in threads: a login costs its user 100 ms, and nobody else.

Shows:  pwdlib in worker threads, a few at once, with a bounded queue; as much work for a user who does not exist; a
        hash that is made anew at a login, when the recommended parameters have grown.
Costs:  64 MiB and a core for each hash that runs. The queue is full under an attack, and logins get 503: limit rates.
Needs:  fastapi uvicorn pwdlib argon2-cffi
Run:    uvicorn --factory password_hashing:create_app    then    curl -i http://127.0.0.1:8000/docs
"""

from collections.abc import Callable, MutableMapping
from secrets import token_hex
from typing import Annotated, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, HTTPException
from pwdlib import PasswordHash
from pydantic import BaseModel, Field, SecretStr

Result = TypeVar("Result")


class Passwords:
    """`at_once` hashes run, `waiting` more wait for their turn, and all others get 503."""

    def __init__(self, at_once: int = 2, waiting: int = 20) -> None:
        self.hasher = PasswordHash.recommended()
        self.nobodys = self.hasher.hash(token_hex())
        self.places, self.most, self.here = CapacityLimiter(at_once), at_once + waiting, 0

    async def in_thread(self, work: Callable[..., Result], *arguments: str) -> Result:
        if self.here >= self.most:
            raise HTTPException(503, "busy", {"Retry-After": "1"})
        self.here += 1  # before any await, or a burst would find the queue empty
        try:
            return await to_thread.run_sync(work, *arguments, limiter=self.places)  # not the 40 of `def` endpoints
        finally:
            self.here -= 1

    async def hash(self, password: SecretStr) -> str:
        return await self.in_thread(self.hasher.hash, password.get_secret_value())

    async def verify(self, password: SecretStr, kept: str | None) -> tuple[bool, str | None]:
        """Whether it is the password of the hash `kept`, and a better hash where there is one. None takes as long."""
        secret = password.get_secret_value()
        good, better = await self.in_thread(self.hasher.verify_and_update, secret, kept or self.nobodys)
        return good and kept is not None, better


class User(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    password: Annotated[SecretStr, Field(max_length=1000)]


def create_app(users: MutableMapping[str, str] | None = None, passwords: Passwords | None = None) -> FastAPI:
    hashes = {} if users is None else users  # of each name; yours are in a database
    app, passwords = FastAPI(), passwords or Passwords()

    @app.post("/users", status_code=201, responses={400: {}, 409: {}, 503: {}})
    async def register(user: User) -> dict[str, str]:
        new = await passwords.hash(user.password)
        if hashes.setdefault(user.name, new) is not new:
            raise HTTPException(409, "the name is taken")
        return {"name": user.name}

    @app.post("/login", responses={400: {}, 401: {}, 503: {}})
    async def login(user: User) -> dict[str, str]:
        good, better = await passwords.verify(user.password, hashes.get(user.name))
        if not good:
            raise HTTPException(401, "wrong name or password", {"WWW-Authenticate": "Bearer"})  # the same for both
        hashes[user.name] = better or hashes[user.name]
        return {"name": user.name}  # and here, a token that ends

    return app
