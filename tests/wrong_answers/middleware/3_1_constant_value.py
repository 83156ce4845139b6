"""The header says the same whatever the request took."""

REFUSED_WITH = "app;dur=1.0, and no reading of the clock"


class ServerTiming:
    def __init__(self, app, clock):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_with_timing(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"server-timing", b"app;dur=1.0")]}
            await send(message)

        await self.app(scope, receive, send_with_timing)
