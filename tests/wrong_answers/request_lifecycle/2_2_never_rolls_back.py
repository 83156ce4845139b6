"""An exception skips the commit, and nothing undoes the work."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException

REFUSED_WITH = "expected rollback"


def make_app(connect):
    async def transaction():
        db = await connect()
        try:
            yield db
            await db.commit()
        finally:
            await db.close()

    app = FastAPI()

    @app.post("/orders")
    async def order(quantity: int, db: Annotated[object, Depends(transaction, scope="function")]):
        await db.insert(quantity)
        if quantity > 50:
            raise HTTPException(409, "not so many")
        return {"ordered": quantity}

    return app
