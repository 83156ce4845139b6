"""Conditional requests: a client that has the bytes already gets 304, and no bytes.

Shows:  a strong, quoted ETag from a hash of the body, the same in every worker, and all forms of If-None-Match.
Costs:  a hash a response. The body is still made or fetched: bytes on the wire are saved, not work.
Needs:  fastapi uvicorn
Run:    uvicorn etag:app    then    curl -i http://127.0.0.1:8000/catalogue
        Again, with its ETag: curl -i -H 'If-None-Match: "…"' http://127.0.0.1:8000/catalogue
"""

import json
import re
from hashlib import sha256

from fastapi import FastAPI, Request, Response

ENTITY_TAG = re.compile(r'"[^"]*"')  # W/ may stand before it, and a comma inside


def etag_of(body: bytes) -> str:
    """Of the bytes alone: `hash()` of Python differs between processes."""
    return f'"{sha256(body).hexdigest()[:32]}"'


def matches(if_none_match: str, etag: str) -> bool:
    """By weak comparison, as RFC 9110 has it for If-None-Match: W/"x" stands for "x"."""
    return if_none_match.strip() == "*" or etag in ENTITY_TAG.findall(if_none_match)


def conditional(request: Request, body: bytes, media_type: str = "application/json") -> Response:
    """The body, or a 304 without one. Both carry the headers by which a cache judges what it keeps."""
    headers = {"ETag": etag_of(body), "Cache-Control": "no-cache"}  # keep it, but ask before each use
    if matches(",".join(request.headers.getlist("If-None-Match")), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


app = FastAPI()


@app.get("/catalogue")
async def catalogue(request: Request) -> Response:
    return conditional(request, json.dumps({"products": list(range(1000))}).encode())
