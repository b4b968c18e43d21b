"""GenerateRecommendations: code for the place of the caret."""

from __future__ import annotations

from emr_studio.aws.context import Context, Preparation
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.settings import Settings
from emr_studio.suggestions.errors import NotConfigured
from emr_studio.suggestions.model import CodeModel
from emr_studio.suggestions.prompt import Question

ACTION = "codewhisperer:GenerateRecommendations"
_USUAL = 5


def _take_turn(preparation: Preparation, _request: Request) -> None:
    """Who is denied has had a turn too. It makes this an operation that waits, so it never runs in the event loop."""
    model: CodeModel = preparation.ports[CodeModel]
    model.take_turn(preparation.caller.account_id, preparation.caller.user_id)


@operation("codewhisperer", "GenerateRecommendations", checks=action(ACTION), read_only=True, prepare=_take_turn)
def generate_recommendations(context: Context, request: Request) -> Response:
    """Suggestions for a place in a Python file, the best first."""
    if not context.port(Settings).suggestions_url:
        raise NotConfigured
    # All questions to the database are answered, and a model may think for long: the connection is others' meanwhile.
    context.session.rollback()
    file = request["fileContext"]
    question = Question.about(file["leftFileContent"], file["rightFileContent"], file["filename"])
    found = context.port(CodeModel).suggest(question, request.get("maxResults") or _USUAL)
    return {"recommendations": [{"content": content} for content in found]}
