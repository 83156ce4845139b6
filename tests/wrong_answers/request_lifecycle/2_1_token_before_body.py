"""Surely nobody reads the body of a stranger."""

REFUSED_WITH = "place 1 is the first that is not: the token is checked"


def order():
    return [
        "the token is checked",
        "the body is read",
        "the session opens",
        "the path is validated",
        "the body is validated",
        "the endpoint runs",
        "the response is validated",
        "the session closes",
        "the response is sent",
        "the background task runs",
    ]
