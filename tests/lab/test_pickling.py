"""What an answer uses goes with it to the checker's process."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.pickling import dumps

CELL = """
from typing import Annotated
from fastapi import FastAPI
from pydantic import BaseModel, Field

LIMIT = 3

class Outer(BaseModel):
    price: Annotated[float, Field(gt=0)]

def make():
    class Inner(BaseModel):
        price: Annotated[float, Field(gt=0, lt=LIMIT)]
        class Deeper(BaseModel):
            size: Annotated[int, Field(ge=LIMIT)] = LIMIT
        deeper: Deeper = Deeper()
        def doubled(self): return self.price * LIMIT
    app = FastAPI()
    @app.post("/")
    async def endpoint(inner: Inner, outer: Outer): ...
    return Inner(price=2).doubled(), Outer(price=2).price, len(app.routes) > 0
"""


def test_an_answer_may_define_its_models_inside_or_beside_it(tmp_path: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "answers"}
    exec(CELL, namespace)
    (tmp_path / "answer").write_bytes(dumps(namespace["make"]))
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb'))())"
    loaded = subprocess.run([sys.executable, "-c", code, tmp_path / "answer"], capture_output=True, text=True)
    assert loaded.stdout.strip() == "(6.0, 2.0, True)", loaded.stderr


def test_what_can_be_imported_goes_by_its_name() -> None:
    assert pickle.loads(dumps(pickle.dumps)) is pickle.dumps
    assert pickle.loads(dumps(Path.exists)) is Path.exists


def test_what_cannot_leave_raises() -> None:
    numbers = (number for number in range(3))
    with pytest.raises(TypeError, match="generator"):
        dumps(lambda: numbers)
