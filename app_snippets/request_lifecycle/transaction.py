"""A database transaction as a dependency: committed before the client hears of success, rolled back on any error.

Shows:  `Depends(..., scope="function")`: the code after `yield` runs before the response is sent.
Costs:  the connection is held for as long as the endpoint runs, not for as long as the client reads.
Needs:  fastapi uvicorn
Run:    DATABASE=orders.db uvicorn transaction:app    then    curl -i http://127.0.0.1:8000/orders
        The only product is number 1: POST /orders?product=1 is stored, POST /orders?product=2 is a 409.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse

SCHEMA = """CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS orders (product INTEGER REFERENCES products DEFERRABLE INITIALLY DEFERRED);
INSERT OR IGNORE INTO products VALUES (1);"""
Product = Annotated[int, Query(ge=1, lt=2**63)]  # a larger one SQLite cannot store: a 500


def create_app(database: str, scope: Literal["function", "request"] = "function") -> FastAPI:
    """`scope="request"`, the default of Depends, is here to see what goes wrong with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(SCHEMA)
        yield

    def transaction() -> Iterator[sqlite3.Connection]:
        # Its two halves may run in different threads, one after the other.
        with closing(sqlite3.connect(database, check_same_thread=False)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            with connection:  # commits at its end, rolls back when an exception comes through
                yield connection

    app = FastAPI(lifespan=lifespan)

    @app.get("/orders")
    def orders(db: Annotated[sqlite3.Connection, Depends(transaction, scope=scope)]) -> list[int]:
        return [product for (product,) in db.execute("SELECT product FROM orders")]

    @app.post("/orders", status_code=201)
    def order(product: Product, db: Annotated[sqlite3.Connection, Depends(transaction, scope=scope)]) -> dict[str, int]:
        db.execute("INSERT INTO orders VALUES (?)", (product,))  # checked at COMMIT, as the schema says
        return {"ordered": product}

    @app.exception_handler(sqlite3.IntegrityError)
    async def conflict(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "no such product"}, status_code=409)

    return app


app = create_app(os.environ.get("DATABASE", "orders.db"))
