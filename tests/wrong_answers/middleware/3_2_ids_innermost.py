"""The id comes last of all, next to the endpoint."""

REFUSED_WITH = "from the outside in: hosts, cors, errors, request_ids"


def add_layers(app, request_ids, hosts, cors, errors):
    app.add_middleware(request_ids)
    app.add_middleware(errors)
    app.add_middleware(cors)
    app.add_middleware(hosts)
