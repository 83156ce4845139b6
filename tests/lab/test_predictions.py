from collections.abc import Iterator

import pytest

from lab.errors import LabError
from lab.predictions import predict
from tests.lab.live_kernel import LiveKernel, texts


@pytest.mark.parametrize(
    ("guess", "actual", "words"),
    [
        (None, 40, "It was 40. You made no guess."),
        ("40", 40, "It was 40, as you said."),
        ("60", 40, "It was 40. You said 60."),
        (None, 39, "It was 39, which none of the choices says."),
        ("60", 39, "It was 39, which none of the choices says."),
    ],
)
def test_the_score_comes_from_the_run(
    guess: str | None, actual: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prediction = predict("How many run at the same time?", ["1", "40", "60"])
    capsys.readouterr()
    prediction.buttons.value = guess
    prediction.score(actual)
    assert capsys.readouterr().out == words + "\n"


def test_outside_of_a_notebook_the_question_is_words(capsys: pytest.CaptureFixture[str]) -> None:
    predict("How many?", [1, 40])
    assert capsys.readouterr().out == "How many?\n- 1\n- 40\n"


@pytest.mark.parametrize("choices", [[], ["1"], ["1", 1]])
def test_fewer_than_two_different_choices_are_refused(choices: list[object]) -> None:
    with pytest.raises(LabError, match="two or more different choices"):
        predict("How many?", choices)


@pytest.fixture(scope="module")
def kernel() -> Iterator[LiveKernel]:
    kernel = LiveKernel()
    kernel.run("from lab import predict")
    yield kernel
    kernel.stop()


def test_the_question_is_shown_once_as_words_as_html_and_as_a_widget(kernel: LiveKernel) -> None:
    shown = [m for m in kernel.run("predict('Is 2 < 3?', ['yes', '<no>'])") if m["msg_type"] == "display_data"]
    assert texts(shown) == ["Is 2 < 3?\n- yes\n- <no>"]
    bundle = shown[0]["content"]["data"]
    assert bundle["text/html"] == (
        "<p><b>Is 2 &lt; 3?</b> Run this cell to choose.</p><ul><li>yes</li><li>&lt;no&gt;</li></ul>"
    )
    assert "model_id" in bundle["application/vnd.jupyter.widget-view+json"]


def test_a_choice_made_in_the_browser_is_scored(kernel: LiveKernel) -> None:
    (comm,) = texts(kernel.run("guess = predict('How many?', [1, 40]); print(guess.buttons.model_id)"))[1:]
    assert texts(kernel.run("guess.score(40)")) == ["It was 40. You made no guess."]
    kernel.set(comm, index=1)
    assert texts(kernel.run("guess.score(40)")) == ["It was 40, as you said."]
