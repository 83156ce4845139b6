"""The 500 is made outside of the layer that would add its CORS headers."""

REFUSED_WITH = "500 without Access-Control-Allow-Origin"


def add_layers(app, request_ids, hosts, cors, errors):
    app.add_middleware(cors)
    app.add_middleware(errors)
    app.add_middleware(hosts)
    app.add_middleware(request_ids)
