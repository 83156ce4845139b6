"""Only requests for your own host names, and health probes that come by address.

Shows:  TrustedHostMiddleware, and one path that is let by: a probe asks an address, which is no host name of yours.
Costs:  a comparison a request. The path that is let by must not use the Host header, in links or redirects.
Needs:  fastapi uvicorn
Run:    uvicorn trusted_hosts:app    then    curl -i http://127.0.0.1:8000/healthz
        ALLOWED_HOSTS names the hosts, as in ALLOWED_HOSTS=example.com,*.example.com
"""

import os
from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send


class TrustedHosts:
    """Answers 400 to a host that is not in `allowed_hosts`, on every path but `probe`.

    `*.example.com` stands for every name under example.com, and not for example.com itself.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str], probe: str = "/healthz") -> None:
        self.app = app
        self.guarded = TrustedHostMiddleware(app, allowed_hosts=allowed_hosts)
        self.probe = probe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        probing = scope["type"] == "http" and scope["path"] == self.probe
        await (self.app if probing else self.guarded)(scope, receive, send)


def create_app(allowed_hosts: Sequence[str]) -> FastAPI:
    app = FastAPI()
    app.add_middleware(TrustedHosts, allowed_hosts=allowed_hosts)

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/")
    async def home() -> dict[str, str]:
        return {"hello": "world"}

    return app


app = create_app(os.environ.get("ALLOWED_HOSTS", "example.com,*.example.com").split(","))
