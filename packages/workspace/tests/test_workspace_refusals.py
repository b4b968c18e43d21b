"""What a cluster's kernel gateway refuses, as a notebook's reader sees it."""

from __future__ import annotations

from tests.support.workspace_python import in_workspace

# As Jupyter's client of gateways raises it, from what a gateway answers.
PLAY = """
from tornado.web import HTTPError
from emr_studio_workspace.kernels import _plainly

text = "Error from Gateway: [%s] %s. Ensure gateway url is valid and the Gateway instance is running."
answers = (403, "Too many: 8 of 8.", "Resource Limit"), (403, "Forbidden", "Forbidden"), (599, "", "")
for status, said, reason in answers:
    try:
        with _plainly():
            raise HTTPError(status, text, said, reason)
    except HTTPError as error:
        print(error.status_code, error.log_message % error.args)
"""


def test_a_full_cluster_is_told_in_its_own_words() -> None:
    full, forbidden, away = in_workspace(PLAY).stdout.splitlines()
    assert full == "403 Too many: 8 of 8."
    assert "Ensure gateway url is valid" in forbidden
    assert away.startswith("503 ")
