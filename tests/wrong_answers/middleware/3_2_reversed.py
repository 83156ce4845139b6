"""Added in the order of the list, as if the first were the outermost."""

REFUSED_WITH = "the last one that is added is the outermost"


def add_layers(app, request_ids, hosts, cors, errors):
    app.add_middleware(request_ids)
    app.add_middleware(hosts)
    app.add_middleware(cors)
    app.add_middleware(errors)
