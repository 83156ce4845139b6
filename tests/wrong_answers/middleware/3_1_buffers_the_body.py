"""Everything is held back until the app has returned."""

REFUSED_WITH = "sent nothing"


class ServerTiming:
    def __init__(self, app, clock):
        self.app, self.clock = app, clock

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        arrived, messages = self.clock(), []

        async def keep(message):
            messages.append(message)

        await self.app(scope, receive, keep)
        timing = f"app;dur={(self.clock() - arrived) * 1000:.1f}".encode()
        start, *bodies = messages
        await send({**start, "headers": [*start.get("headers", ()), (b"server-timing", timing)]})
        for message in bodies:
            await send(message)
