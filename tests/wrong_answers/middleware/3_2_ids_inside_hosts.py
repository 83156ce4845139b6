"""What hosts refuses has no id."""

REFUSED_WITH = "from the outside in: hosts, request_ids, cors, errors"


def add_layers(app, request_ids, hosts, cors, errors):
    app.add_middleware(errors)
    app.add_middleware(cors)
    app.add_middleware(request_ids)
    app.add_middleware(hosts)
