"""The same user, returned in five ways: three of them show the password's hash.

Shows:  a return annotation (or `response_model`) keeps what its model names, and drops the rest.
Costs:  less than returning without a model, where `jsonable_encoder` walks through everything in Python.
Needs:  fastapi uvicorn
Run:    uvicorn response_filtering:app    then    curl -i http://127.0.0.1:8000/annotated
"""

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel


class User(BaseModel):
    """What a client may see."""

    name: str


class StoredUser(User):
    """What the database holds."""

    password_hash: str


ada = StoredUser(name="ada", password_hash="$argon2id$v=19$secret")
app = FastAPI()


@app.get("/annotated")
async def annotated() -> User:
    return ada  # a StoredUser is a User; only the fields of User are written


@app.get("/response-model", response_model=User)
async def response_model() -> object:
    return ada.model_dump()  # a dict, a row, any object with the attributes: the annotation may say what it likes


@app.get("/untyped")
async def untyped():  # type: ignore[no-untyped-def]
    return ada  # the mistake: no model, so every field goes out


@app.get("/union")
async def union() -> User | StoredUser:
    return ada  # the mistake: the union admits a StoredUser as it is


@app.get("/response", response_model=User)
async def response() -> JSONResponse:
    return JSONResponse(ada.model_dump())  # the mistake: a Response is sent as it is, whatever the model says


@app.get("/invalid")
async def invalid() -> User:
    return {"username": "ada"}  # type: ignore[return-value]  # no name: a 500 for the client, the reason in the log
