"""Cleanup comes after everything, whatever its scope."""

REFUSED_WITH = "the stack of scope="


def order():
    return [
        "the body is read",
        "the token is checked",
        "the session opens",
        "the path is validated",
        "the body is validated",
        "the endpoint runs",
        "the response is validated",
        "the response is sent",
        "the background task runs",
        "the session closes",
    ]
