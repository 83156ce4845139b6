"""One pool of database connections for the app: SQLite by default, PostgreSQL by DATABASE_URL.

Shows:  SQLAlchemy's async engine in lifespan; a session for each request; 503 when the pool is exhausted.
Costs:  up to `size` open connections for each worker process: PostgreSQL's default is 100 for all of them together.
Needs:  aiosqlite fastapi greenlet sqlalchemy uvicorn
Run:    DATABASE_URL=sqlite+aiosqlite:///notes.db uvicorn database_pool:app    then    curl -i http://127.0.0.1:8000/notes
        For PostgreSQL install asyncpg: DATABASE_URL=postgresql+asyncpg://user:password@host/name
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy import exc, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


def create_app(url: str, *, size: int = 5, wait: float = 0.5) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        engine = create_async_engine(
            url,
            pool_size=size,
            max_overflow=0,  # or there may be 10 more, which are closed again at once
            pool_timeout=wait,  # seconds in the queue; the default is 30
            pool_pre_ping=True,  # a connection that has died meanwhile is replaced
        )
        try:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            yield {"sessions": async_sessionmaker(engine, expire_on_commit=False)}
        finally:
            await engine.dispose()

    async def session(request: Request) -> AsyncIterator[AsyncSession]:
        try:
            async with request.state.sessions.begin() as opened:  # commits at its end, rolls back on an error
                yield opened
        except exc.TimeoutError:
            raise HTTPException(503, "busy", {"Retry-After": "1"}) from None
        except (exc.OperationalError, exc.InterfaceError, OSError):
            raise HTTPException(503, "no database", {"Retry-After": "5"}) from None

    Session = Annotated[AsyncSession, Depends(session, scope="function")]  # given back before the client reads
    app = FastAPI(lifespan=lifespan)

    @app.get("/notes")
    async def notes(session: Session) -> list[str]:
        return list(await session.scalars(select(Note.text).order_by(Note.id)))

    @app.post("/notes", status_code=201)
    async def note(text: str, session: Session) -> dict[str, int]:
        session.add(made := Note(text=text))
        await session.flush()
        return {"id": made.id}

    return app


app = create_app(os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///notes.db"))
