from collections.abc import Iterator

import pytest
from ipywidgets import IntSlider, ToggleButtons

from lab.errors import LabError
from lab.panels import Panel, play
from tests.lab.live_kernel import LiveKernel, Message, texts


def test_a_tuple_is_a_slider_and_a_list_is_buttons() -> None:
    panel = Panel(print, {"clients": (1, 64), "latency_ms": (10, 500, 100), "server": ["WSGI", "ASGI"]})
    clients, latency, server = panel.controls.values()
    assert isinstance(clients, IntSlider)
    assert isinstance(server, ToggleButtons)
    assert (clients.min, clients.max, clients.value) == (1, 64, 1)
    assert (latency.min, latency.max, latency.value) == (10, 500, 100)
    assert (server.options, server.value) == (("WSGI", "ASGI"), "WSGI")
    assert [control.description for control in panel.controls.values()] == ["clients", "latency_ms", "server"]


@pytest.mark.parametrize("control", [(), [], (1,), (1, 2, 3, 4), ("a", "b"), 3, "ab", (9, 1), (1, 5, 9)])
def test_any_other_control_is_one_readable_line(control: object) -> None:
    with pytest.raises(LabError, match="the control clients") as refused:
        play(print, clients=control)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_a_panel_without_a_function_or_a_control_is_refused() -> None:
    with pytest.raises(LabError, match="a function and its controls"):
        play(print)
    with pytest.raises(LabError, match="a function and its controls"):
        play(3, clients=(1, 2))  # type: ignore[arg-type]


def test_outside_of_a_notebook_the_panel_is_words(capsys: pytest.CaptureFixture[str]) -> None:
    play(print, clients=(1, 64), server=["WSGI", "ASGI"])
    assert capsys.readouterr().out == "Panel: clients, server. Press Run.\n"


def test_a_press_within_a_run_starts_no_second_one() -> None:
    runs: list[int] = []

    def run(clients: int) -> None:
        runs.append(clients)
        assert panel.button.disabled
        assert "<progress" in panel.status.value
        panel.button.click()

    panel = Panel(run, {"clients": (3, 64)})
    panel.button.click()
    assert runs == [3]
    assert not panel.button.disabled
    assert panel.status.value == ""


# In a kernel


CELL = """
import threading
from IPython.display import display
from lab.errors import LabError
from lab.panels import Panel

def run(clients, server):
    print("printed", clients, server)
    handle = display({"text/plain": "0 of 9", "text/html": "<progress value=0>"}, raw=True, display_id=True)
    handle.update({"text/plain": "9 of 9", "text/html": "<progress value=9>"}, raw=True)
    threads.append(threading.current_thread())
    if clients == 13:
        raise LabError("not thirteen")
    if clients == 14:
        raise ValueError("first line\\nsecond line")
    return "the figure"

threads = []
panel = Panel(run, {"clients": (1, 64), "server": ["WSGI", "ASGI"]})
panel.show()
"""


class Browser:
    """The panel of CELL, as a browser sees it."""

    def __init__(self, kernel: LiveKernel) -> None:
        self.kernel = kernel
        self.shown = [message for message in kernel.run(CELL) if message["msg_type"] == "display_data"]
        ids = kernel.run(
            "print(*(w.model_id for w in [*panel.controls.values(), panel.button, panel.status, panel.output]))"
        )
        self.clients, self.server, self.button, self.status, self.output = texts(ids)[0].split()

    def updates(self, messages: list[Message], comm: str, key: str) -> list[object]:
        sent = [m["content"] for m in messages if m["msg_type"] == "comm_msg" and m["content"]["comm_id"] == comm]
        return [content["data"]["state"][key] for content in sent if key in content["data"]["state"]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    kernel = LiveKernel()
    yield Browser(kernel)
    kernel.stop()


def test_the_panel_is_shown_as_words_as_html_and_as_a_widget(browser: Browser) -> None:
    assert texts(browser.shown) == ["Panel: clients, server. Press Run."]
    bundle = browser.shown[0]["content"]["data"]
    assert "<li>clients: from 1 to 64</li><li>server: WSGI, ASGI</li>" in bundle["text/html"]
    assert "model_id" in bundle["application/vnd.jupyter.widget-view+json"]


def test_the_run_gets_what_was_set_and_its_output_stays_in_the_panel(browser: Browser) -> None:
    browser.kernel.set(browser.clients, value=7)
    browser.kernel.set(browser.server, index=1)
    messages = browser.kernel.click(browser.button)
    assert texts(messages) == ["printed 7 ASGI", "'the figure'"]
    # The Output widget takes what has this parent, from the first update to the second.
    assert browser.updates(messages, browser.output, "msg_id") == [messages[0]["parent_header"]["msg_id"], ""]


def test_the_panel_is_busy_before_the_run_and_free_after_it(browser: Browser) -> None:
    messages = browser.kernel.click(browser.button)
    assert browser.updates(messages, browser.button, "disabled") == [True, False]
    kinds = [message["msg_type"] for message in messages]
    assert kinds.index("comm_msg") < kinds.index("stream")


def test_a_progress_bar_of_the_run_is_drawn_beside_the_button(browser: Browser) -> None:
    messages = browser.kernel.click(browser.button)
    seen = browser.updates(messages, browser.status, "value")
    assert seen[1:] == ["<progress value=0>", "<progress value=9>"]


@pytest.mark.parametrize(("clients", "line"), [(13, "not thirteen"), (14, "ValueError: first line")])
def test_an_exception_is_one_line_and_the_panel_stays_usable(browser: Browser, clients: int, line: str) -> None:
    browser.kernel.set(browser.clients, value=clients)
    messages = browser.kernel.click(browser.button)
    assert texts(messages)[-1] == line
    assert browser.updates(messages, browser.button, "disabled") == [True, False]


def test_a_press_handled_in_a_thread_beside_the_cells_does_the_same(browser: Browser) -> None:
    browser.kernel.set(browser.clients, value=5)
    subshell = browser.kernel.subshell()
    for _ in range(2):  # a widget answers in the thread it was last called from, so the second press is surely there
        messages = browser.kernel.click(browser.button, subshell)
        assert texts(messages)[0].startswith("printed 5")
        assert texts(messages)[-1] == "'the figure'"
        assert "<progress value=9>" in browser.updates(messages, browser.status, "value")
    assert texts(browser.kernel.run("print(threads[-1] is threading.main_thread())")) == ["False"]
