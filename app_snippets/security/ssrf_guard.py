"""A URL that a stranger chose is fetched from the public internet, and from nowhere else.

Shows:  a name is resolved once, all its addresses are checked, and one of those is connected to, whatever DNS says a
        moment later. TLS and Host keep the name. Redirects are not followed; ports, size and time are limited.
Costs:  a new connection for each request. Of a name's addresses only the first is tried.
Needs:  fastapi uvicorn httpx
Run:    uvicorn --factory ssrf_guard:create_app    then    curl -i 'http://127.0.0.1:8000/preview?url=http://127.0.0.1/'
        the answer is 400
"""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated, Any

import httpx
from fastapi import FastAPI, HTTPException, Query

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
Check = Callable[[Address, int], bool]
PORTS = {"http": 80, "https": 443}
OF_CLOUDS = "192.0.0.0/24 192.88.99.0/24 168.63.129.16/32"  # services of clouds; they look public
OF_IPV6 = "::/3 4000::/2 8000::/1 2001::/23 2001:db8::/32 2002::/16 3fff::/20"  # local, or an IPv4 address is inside
REFUSED = [ip_network(network) for network in f"{OF_CLOUDS} {OF_IPV6}".split()]


def is_public(address: Address, port: int = 443) -> bool:
    """`is_global` is not enough: it lets multicast pass, and all that is in REFUSED."""
    routed = address.is_global and not address.is_multicast and not any(address in network for network in REFUSED)
    return routed and port in PORTS.values()


async def resolve(name: str, port: int) -> list[str]:
    """It reads 2130706433, 0x7f.1 and 127.1 as 127.0.0.1: what comes out is checked, not what goes in."""
    return [str(found[-1][0]) for found in await asyncio.get_running_loop().getaddrinfo(name, port)]


class GuardedTransport(httpx.AsyncHTTPTransport):
    """For httpx.AsyncClient(transport=…). Raises ValueError instead of connecting elsewhere, at each redirect too."""

    def __init__(self, resolve: Resolve = resolve, is_allowed: Check = is_public, **options: Any) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)  # a kept one could serve a name whose certificate is unseen
        super().__init__(limits=limits, trust_env=False, **options)
        self.resolve, self.is_allowed = resolve, is_allowed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url, name = request.url, request.url.raw_host.decode()
        port = url.port or PORTS.get(url.scheme, 0)
        plain = url.scheme in PORTS and not url.userinfo
        addresses = [ip_address(found) for found in await self.resolve(name, port)] if plain else []
        if not addresses or not all(self.is_allowed(address, port) for address in addresses):
            raise ValueError("not a public web address")
        there, about = url.copy_with(host=str(addresses[0])), {**request.extensions, "sni_hostname": name}
        checked = httpx.Request(request.method, there, headers=request.headers, extensions=about, stream=request.stream)
        return await super().handle_async_request(checked)


def create_app(transport: httpx.AsyncBaseTransport | None = None, limit: int = 100_000, seconds: float = 5) -> FastAPI:
    app, guarded, plain = FastAPI(), transport or GuardedTransport(), {"Accept-Encoding": "identity"}

    @app.get("/preview", responses={400: {}, 502: {}})
    async def preview(url: Annotated[str, Query(max_length=2000)]) -> dict[str, int | str]:
        client, body = httpx.AsyncClient(transport=guarded), b""  # a client each: no cookie meets another's URL
        try:
            async with asyncio.timeout(seconds), client.stream("GET", url, headers=plain) as response:
                async for chunk in response.aiter_raw():  # as it came: what is small on the wire is small here
                    if len(body := body + chunk) > limit:
                        raise HTTPException(502, "too large")
        except (httpx.HTTPError, TimeoutError):
            raise HTTPException(502, "no answer, or too slow") from None
        except (httpx.InvalidURL, ValueError, OSError):  # a name that is not there as well: no map of what is inside
            raise HTTPException(400, "not a public web address") from None
        return {"status": response.status_code, "text": body.decode(errors="replace")}

    return app
