"""A sentence, and whether it holds on this machine."""

from html import escape

from lab.messages import say


def claim(sentence: str, holds: object, seen: object = None) -> None:
    """Displays the sentence and whether it holds here. `seen` is what was measured: shown only when it does not hold.

    The words are the same on every machine where it holds, so nbval notices when it stops holding.
    """
    verdict = "holds" if holds else "DOES NOT HOLD"
    beside = "" if holds or seen is None else f" (seen: {seen})"
    say(
        f"{verdict}: {sentence}{beside}",
        html=f"<b>{verdict}</b> · {escape(sentence + beside)}",
        kind="success" if holds else "danger",
    )
