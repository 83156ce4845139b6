"""A preflight is answered before anybody asks for which host it is."""

REFUSED_WITH = "200 by cors"


def add_layers(app, request_ids, hosts, cors, errors):
    app.add_middleware(errors)
    app.add_middleware(hosts)
    app.add_middleware(cors)
    app.add_middleware(request_ids)
