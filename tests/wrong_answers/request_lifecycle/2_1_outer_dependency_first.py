"""The session opens, and then what it depends on."""

REFUSED_WITH = "place 2 is the first that is not: the session opens"


def order():
    return [
        "the body is read",
        "the session opens",
        "the token is checked",
        "the path is validated",
        "the body is validated",
        "the endpoint runs",
        "the response is validated",
        "the session closes",
        "the response is sent",
        "the background task runs",
    ]
