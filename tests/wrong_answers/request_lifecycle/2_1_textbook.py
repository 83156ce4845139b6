"""Path, body, dependencies, endpoint: as most articles draw it."""

REFUSED_WITH = "what does it do before it calls solve_dependencies?"


def order():
    return [
        "the path is validated",
        "the body is read",
        "the body is validated",
        "the token is checked",
        "the session opens",
        "the endpoint runs",
        "the response is validated",
        "the session closes",
        "the response is sent",
        "the background task runs",
    ]
