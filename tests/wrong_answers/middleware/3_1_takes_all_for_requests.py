"""Looks at the method of what has none."""

REFUSED_WITH = "a websocket scope has other keys than a request"


class ServerTiming:
    def __init__(self, app, clock):
        self.app, self.clock = app, clock

    async def __call__(self, scope, receive, send):
        if scope["method"] == "OPTIONS":
            return await self.app(scope, receive, send)
        arrived = self.clock()

        async def send_with_timing(message):
            if message["type"] == "http.response.start":
                timing = f"app;dur={(self.clock() - arrived) * 1000:.1f}".encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"server-timing", timing)]}
            await send(message)

        await self.app(scope, receive, send_with_timing)
