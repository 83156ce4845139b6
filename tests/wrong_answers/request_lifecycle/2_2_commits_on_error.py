"""The commit stands in finally, which runs after an exception as well."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException

REFUSED_WITH = "finally runs then as well"


def make_app(connect):
    async def transaction():
        db = await connect()
        try:
            yield db
        finally:
            await db.commit()
            await db.close()

    app = FastAPI()

    @app.post("/orders")
    async def order(quantity: int, db: Annotated[object, Depends(transaction, scope="function")]):
        await db.insert(quantity)
        if quantity > 50:
            raise HTTPException(409, "not so many")
        return {"ordered": quantity}

    return app
