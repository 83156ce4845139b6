"""The headers are text, and the protocol carries bytes."""

REFUSED_WITH = "a header ('content-type', 'text/plain; charset=utf-8')"


async def app(scope, receive, send):
    headers = [("content-type", "text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
