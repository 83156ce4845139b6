"""The body is text, and the protocol carries bytes."""

REFUSED_WITH = "a body of type str"


async def app(scope, receive, send):
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["path"]})
