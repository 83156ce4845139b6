"""The close is the last line, which an exception does not reach."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException

REFUSED_WITH = "rollback, send 409, and no close"


def make_app(connect):
    async def transaction():
        db = await connect()
        try:
            yield db
        except Exception:
            await db.rollback()
            raise
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
