"""The text is encoded as anything but UTF-8."""

REFUSED_WITH = r"body b'/echo/na\xefve caf\xe9'"


async def app(scope, receive, send):
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["path"].encode("latin-1")})
