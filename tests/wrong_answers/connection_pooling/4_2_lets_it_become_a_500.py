"""Nothing is caught, so the client of our app gets a 500."""

REFUSED_WITH = "raised ReadTimeout"


async def call(client, method, url):
    return await client.request(method, url)
