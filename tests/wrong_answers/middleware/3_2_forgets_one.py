"""Wraps, and drops what it has wrapped."""

REFUSED_WITH = "hosts was not passed"


def add_layers(app, request_ids, hosts, cors, errors):
    app.add_middleware(errors)
    app.add_middleware(cors)
    hosts(app)
    app.add_middleware(request_ids)
