"""The first request's session is kept for the others."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException

REFUSED_WITH = "a session is not shared between requests"


def make_app(connect):
    kept = []

    async def transaction():
        db = kept[0] if kept else await connect()
        kept.append(db)
        try:
            yield db
            await db.commit()
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
