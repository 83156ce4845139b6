"""The body goes first, and there is no status to go with it."""

REFUSED_WITH = "sent http.response.body, http.response.start"


async def app(scope, receive, send):
    await send({"type": "http.response.body", "body": scope["path"].encode(), "more_body": True})
    await send({"type": "http.response.start", "status": 200, "headers": []})
