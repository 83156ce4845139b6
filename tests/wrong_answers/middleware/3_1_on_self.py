"""The arrival is kept on the middleware, which all requests share."""

REFUSED_WITH = "app;dur=80 and app;dur=80"


class ServerTiming:
    def __init__(self, app, clock):
        self.app, self.clock = app, clock

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        self.arrived = self.clock()

        async def send_with_timing(message):
            if message["type"] == "http.response.start":
                timing = f"app;dur={(self.clock() - self.arrived) * 1000:.1f}".encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"server-timing", timing)]}
            await send(message)

        await self.app(scope, receive, send_with_timing)
