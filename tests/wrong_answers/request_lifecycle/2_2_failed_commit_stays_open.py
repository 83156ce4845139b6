"""It closes after an exception and after a commit, but not after a commit that fails."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException

REFUSED_WITH = "commit can fail too"


def make_app(connect):
    async def transaction():
        db = await connect()
        try:
            yield db
        except Exception:
            await db.rollback()
            await db.close()
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
