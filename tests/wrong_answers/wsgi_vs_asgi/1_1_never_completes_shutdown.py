"""Answers the start of the server, and not its end."""

REFUSED_WITH = "sent lifespan.startup.complete\n"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        return
    found = scope["path"].startswith("/echo/")
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
    await send({"type": "http.response.body", "body": scope["path"].encode() if found else b"not found"})
