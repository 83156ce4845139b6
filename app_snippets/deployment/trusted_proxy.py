"""The client's address, from X-Forwarded-For: counted from the right, for as long as known proxies say it.

Shows:  each proxy adds, at the right, the address that it was asked from. Whatever is left of that, the client chose.
Costs:  a few microseconds a request. The networks must be those of your proxies, and of nothing else.
Needs:  fastapi uvicorn
Run:    uvicorn --no-proxy-headers trusted_proxy:app    then    curl -i http://127.0.0.1:8000/
        TRUSTED_PROXIES names their networks. Without it, curl on this machine is one: -H "X-Forwarded-For: 192.0.2.7"
"""

import os
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

Networks = Iterable[IPv4Network | IPv6Network]


def client_address(peer: str, forwarded: str, proxies: Networks) -> str:
    """`peer` asked us, with `forwarded`, an X-Forwarded-For: the first from the right that is no proxy of ours."""
    client = peer
    for said in map(str.strip, reversed(forwarded.split(","))):
        if not is_proxy(client, proxies) or address_of(said) is None:
            break
        client = said
    return client


def is_proxy(text: str, proxies: Networks) -> bool:
    address = address_of(text)
    return address is not None and any(address in network for network in proxies)


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address  # ::ffff:10.0.0.1 is 10.0.0.1


class TrustedProxy:
    """Puts the client's address where the app and everything in it looks for it: scope["client"], request.client."""

    def __init__(self, app: ASGIApp, proxies: Networks) -> None:
        self.app, self.proxies = app, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and scope.get("client"):
            peer, _ = scope["client"]
            said = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
            scope = {**scope, "client": (client_address(peer, said.decode("latin-1"), self.proxies), 0)}
        await self.app(scope, receive, send)


def create_app(proxies: str) -> FastAPI:
    app = FastAPI()
    app.add_middleware(TrustedProxy, proxies=[ip_network(part.strip()) for part in proxies.split(",")])

    @app.get("/")
    async def home(request: Request) -> dict[str, str | None]:
        return {"client": request.client and request.client.host}

    return app


app = create_app(os.environ.get("TRUSTED_PROXIES", "127.0.0.0/8,::1"))
