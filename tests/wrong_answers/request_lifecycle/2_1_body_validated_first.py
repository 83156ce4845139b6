"""What is read is validated, and then the dependencies run."""

REFUSED_WITH = "a dependency's own dependencies come before it"


def order():
    return [
        "the body is read",
        "the body is validated",
        "the path is validated",
        "the token is checked",
        "the session opens",
        "the endpoint runs",
        "the response is validated",
        "the session closes",
        "the response is sent",
        "the background task runs",
    ]
