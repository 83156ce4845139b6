"""The commit stands before yield."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException

REFUSED_WITH = "expected commit after insert"


def make_app(connect):
    async def transaction():
        db = await connect()
        try:
            await db.commit()
            yield db
        except Exception:
            await db.rollback()
            raise
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
