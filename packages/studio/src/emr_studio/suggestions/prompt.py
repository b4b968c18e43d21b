"""What a model is asked, and what of its answer is code. Pure: no network.

Servers differ in how they are asked to fill in the middle. A chat is understood by all of them; `suffix` of
`/completions` by Ollama and some hosted ones, while llama.cpp and vLLM refuse it and take a prompt with the model's
own marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from emr_studio.settings import Settings

MOST_BEFORE = 8192
"""Characters of what stands before the caret that are sent, the nearest."""
MOST_AFTER = 2048
MOST_ANSWER = 5120
"""Characters of one suggestion; more is cut off."""
_TOKENS = 256
_HERE = "<CURSOR>"
_RULES = (
    f"You complete Python code. The user sends a part of a file in which {_HERE} marks the caret. Answer with the text "
    "to insert at the caret and nothing else: no explanation, no Markdown, nothing that stands there already."
)
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)
_FENCE = "```"


class IllFormed(ValueError):
    """An answer that is not in the API's form."""


@dataclass(frozen=True)
class Question:
    """A place in a file: what stands before the caret and after it, as much of it as is sent."""

    before: str
    after: str
    filename: str

    @classmethod
    def about(cls, before: str, after: str, filename: str) -> Question:
        """The place, with what is far from the caret cut off."""
        return cls(*map(_whole, (before[-MOST_BEFORE:], after[:MOST_AFTER], filename)))


def _whole(text: str) -> str:
    """Without halves of characters, which a page can cut and nothing can send."""
    return text.encode(errors="replace").decode()


def address(settings: Settings) -> str:
    """Where the model is asked."""
    path = "/chat/completions" if settings.suggestions_api == "chat" else "/completions"
    return settings.suggestions_url.rstrip("/") + path


def body(settings: Settings, question: Question, count: int) -> dict[str, Any]:
    """The request's JSON, in the form of `suggestions_api`."""
    asked: dict[str, Any] = {"max_tokens": _TOKENS, "temperature": 0.2, "stream": False}
    if settings.suggestions_model:
        asked["model"] = settings.suggestions_model
    if count > 1:  # some servers refuse to be asked for more than one, so it is not said that it is one
        asked["n"] = count
    if settings.suggestions_api == "chat":
        text = f"File: {question.filename}\n\n{question.before}{_HERE}{question.after}"
        messages = [{"role": "system", "content": _RULES}, {"role": "user", "content": text}]
        return {**asked, "messages": messages}
    if settings.suggestions_prompt:
        # At once: code may hold the other's mark.
        parts = {"{before}": question.before, "{after}": question.after}
        prompt = re.sub(r"\{before\}|\{after\}", lambda mark: parts[mark[0]], settings.suggestions_prompt)
        return {**asked, "prompt": prompt}
    return {**asked, "prompt": question.before, "suffix": question.after}


def suggestions(settings: Settings, question: Question, answer: object, count: int) -> list[str]:
    """The code in an answer: each once, none empty, `count` at most.

    Raises:
        IllFormed: if the answer is not in the API's form.
    """
    chat = settings.suggestions_api == "chat"
    texts = (_code(text, question) if chat else text for text in _texts(answer, chat=chat))
    kept = dict.fromkeys(text[:MOST_ANSWER].rstrip() for text in texts if text.strip())
    return list(kept)[:count]


def _texts(answer: object, *, chat: bool) -> Iterable[str]:
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    if not isinstance(choices, list):
        raise IllFormed("it has no list `choices`")
    for choice in choices:
        holder = choice.get("message") if chat and isinstance(choice, Mapping) else choice
        text = holder.get("content" if chat else "text") if isinstance(holder, Mapping) else None
        if not isinstance(text, str):
            raise IllFormed("a choice has no text")
        yield text


def _code(text: str, question: Question) -> str:
    """What a chat says without what it was told to leave out: thoughts, a fence, the line that is there already."""
    text = _THOUGHT.sub("", text, count=1)
    if text.lstrip().startswith(_FENCE):
        text = text.lstrip().partition("\n")[2].partition(_FENCE)[0]
    line = question.before.rpartition("\n")[2]
    for repeated in (line, line.lstrip()):
        if repeated and len(text) > len(repeated) and text.startswith(repeated):
            return text[len(repeated) :]
    return text
