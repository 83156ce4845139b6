"""The list of headers is the app's own, and grows with every request."""

REFUSED_WITH = "2 times Server-Timing: app"


class ServerTiming:
    def __init__(self, app, clock):
        self.app, self.clock = app, clock

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        arrived = self.clock()

        async def send_with_timing(message):
            if message["type"] == "http.response.start":
                timing = f"app;dur={(self.clock() - arrived) * 1000:.1f}".encode()
                message.setdefault("headers", []).append((b"server-timing", timing))
            await send(message)

        await self.app(scope, receive, send_with_timing)
