"""Each call is awaited before the next starts."""

REFUSED_WITH = "1 call in flight"


async def fan_out(call, numbers, limit):
    results = []
    for number in numbers:
        try:
            results.append(await call(number))
        except Exception as error:
            results.append(error)
    return results
