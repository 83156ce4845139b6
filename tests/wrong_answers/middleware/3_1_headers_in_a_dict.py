"""A dict of headers keeps one of each name."""

REFUSED_WITH = "set-cookie b=2"


class ServerTiming:
    def __init__(self, app, clock):
        self.app, self.clock = app, clock

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        arrived = self.clock()

        async def send_with_timing(message):
            if message["type"] == "http.response.start":
                headers = dict(message.get("headers", ()))
                headers[b"server-timing"] = f"app;dur={(self.clock() - arrived) * 1000:.1f}".encode()
                message = {**message, "headers": list(headers.items())}
            await send(message)

        await self.app(scope, receive, send_with_timing)
