"""The wall clock, which goes back when the machine's time is set."""

import time

REFUSED_WITH = "a duration of another clock"


class ServerTiming:
    def __init__(self, app, clock):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        arrived = time.time()

        async def send_with_timing(message):
            if message["type"] == "http.response.start":
                timing = f"app;dur={abs(time.time() - arrived) * 1000:.1f}".encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"server-timing", timing)]}
            await send(message)

        await self.app(scope, receive, send_with_timing)
