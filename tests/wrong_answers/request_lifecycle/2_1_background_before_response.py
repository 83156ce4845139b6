"""The background task runs before the response is sent."""

REFUSED_WITH = "the background task is its last line"


def order():
    return [
        "the body is read",
        "the token is checked",
        "the session opens",
        "the path is validated",
        "the body is validated",
        "the endpoint runs",
        "the response is validated",
        "the session closes",
        "the background task runs",
        "the response is sent",
    ]
