"""Secrets come from the environment or from files, and never get into a log, a traceback, an answer or the source.

Shows:  SecretStr; `secrets_dir`, where orchestrators mount them; one line for each that is missing or bad, without it.
Costs:  a call where the secret is used: get_secret_value(). Search for it, and you see all who do.
Needs:  fastapi uvicorn pydantic-settings
Run:    SIGNING_KEY=thirty-two-characters-or-many-more uvicorn --factory secret_settings:create_app
        SECRETS_DIR names a folder with a file for each, as in /run/secrets/signing_key. The environment comes first.
"""

import os
from typing import Annotated

from fastapi import FastAPI
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(hide_input_in_errors=True)  # without it, an error quotes the secret
    signing_key: Annotated[SecretStr, Field(min_length=32)]  # no default: a default is a secret that all readers know
    database_password: SecretStr | None = None
    pool_size: int = 5  # not everything is secret


def load() -> Settings:
    """The settings, or the end of the process, with a line that an operator can act on."""
    try:
        return Settings(_secrets_dir=os.environ.get("SECRETS_DIR"))
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, wrong['loc'])).upper()}: {wrong['msg']}" for wrong in error.errors()]
        raise SystemExit("\n".join(lines)) from None


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or load()
    app = FastAPI()

    @app.get("/")
    async def shown() -> dict[str, object]:
        """All secrets are asterisks here, as in repr() and in logs. An endpoint for operators, if at all."""
        return settings.model_dump(mode="json")

    return app
