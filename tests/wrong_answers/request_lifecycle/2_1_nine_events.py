"""The validation of the response is forgotten."""

REFUSED_WITH = "9 events, without 'the response is validated'"


def order():
    return [
        "the body is read",
        "the token is checked",
        "the session opens",
        "the path is validated",
        "the body is validated",
        "the endpoint runs",
        "the session closes",
        "the response is sent",
        "the background task runs",
    ]
