"""BaseHTTPMiddleware, which ends a broken stream as if it were whole."""

from starlette.middleware.base import BaseHTTPMiddleware

REFUSED_WITH = "write it as pure ASGI"


class ServerTiming(BaseHTTPMiddleware):
    def __init__(self, app, clock):
        super().__init__(app)
        self.clock = clock

    async def dispatch(self, request, call_next):
        arrived = self.clock()
        response = await call_next(request)
        response.headers.append("Server-Timing", f"app;dur={(self.clock() - arrived) * 1000:.1f}")
        return response
