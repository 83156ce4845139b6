"""The header is added when the start has been sent already."""

REFUSED_WITH = "what you change after `await send(message)` is too late"


class ServerTiming:
    def __init__(self, app, clock):
        self.app, self.clock = app, clock

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        arrived = self.clock()

        async def send_with_timing(message):
            await send(message)
            if message["type"] == "http.response.start":
                timing = f"app;dur={(self.clock() - arrived) * 1000:.1f}".encode()
                message["headers"] = [*message.get("headers", ()), (b"server-timing", timing)]

        await self.app(scope, receive, send_with_timing)
