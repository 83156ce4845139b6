"""Reads on after the whole request has come."""

REFUSED_WITH = "it waits in receive(), after sending nothing"


async def app(scope, receive, send):
    while (await receive())["type"] != "http.disconnect":
        pass
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
