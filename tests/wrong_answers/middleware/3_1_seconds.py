"""Seconds, where the header takes milliseconds."""

REFUSED_WITH = "the clock gives seconds, the header takes milliseconds"


class ServerTiming:
    def __init__(self, app, clock):
        self.app, self.clock = app, clock

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        arrived = self.clock()

        async def send_with_timing(message):
            if message["type"] == "http.response.start":
                timing = f"app;dur={self.clock() - arrived:.2f}".encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"server-timing", timing)]}
            await send(message)

        await self.app(scope, receive, send_with_timing)
