"""Takes every scope for a request."""

REFUSED_WITH = "raised KeyError: 'path'"


async def app(scope, receive, send):
    found = scope["path"].startswith("/echo/")
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
    await send({"type": "http.response.body", "body": scope["path"].encode() if found else b"not found"})
