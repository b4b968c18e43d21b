"""Models, overlay, validation patterns and the compatibility page."""

from __future__ import annotations

import pytest

from emr_studio.aws.compatibility import render
from emr_studio.aws.models import Shape, paginators, service_model
from emr_studio.aws.protocols import protocol_of
from emr_studio.aws.registry import Operation, Registry, no_check
from emr_studio.aws.validation import java_pattern

OVERLAY = {
    "AttachEditor",
    "CreateEditor",
    "CreateStudioPresignedUrl",
    "DeleteEditor",
    "DescribeEditor",
    "DetachEditor",
    "ListEditors",
    "OpenEditorInConsole",
    "StartEditor",
    "StopEditor",
}


def test_the_overlay_is_part_of_emr() -> None:
    model = service_model("emr")
    assert set(model.operation_names) >= OVERLAY | {"CreateStudio", "RunJobFlow"}
    editor: Shape = model.shape_for("Editor")
    assert editor.members["Status"].metadata["enum"] == [
        "Starting",
        "Ready",
        "Attaching",
        "Attached",
        "Idle",
        "Stopping",
        "Deleting",
    ]
    assert paginators("emr")["ListEditors"]["result_key"] == "Editors"
    assert service_model("emr") is model


def test_a_protocol_not_written_yet_is_said_so() -> None:
    with pytest.raises(NotImplementedError, match="ec2 speaks ec2"):
        protocol_of(service_model("ec2"))


def test_every_pattern_of_the_served_services_can_be_checked() -> None:
    unknown = []
    for service in ("emr", "iam", "sts"):
        model = service_model(service)
        for name in model.shape_names:
            pattern = model.shape_for(name).metadata.get("pattern")
            if pattern and java_pattern(pattern) is None:
                unknown.append((service, name, pattern))
    assert not unknown


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "ü 😀\n", "\x00"),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Größe 1", "#"),
        (r"\p{L}+", "é", "1"),
    ],
)
def test_patterns_written_for_java(pattern: str, good: str, bad: str) -> None:
    compiled = java_pattern(pattern)
    assert compiled
    assert compiled.fullmatch(good)
    assert not compiled.fullmatch(bad)


def test_the_compatibility_page_counts_what_is_registered() -> None:
    mine = Registry()
    page = render(mine)
    assert "| CreateStudio | not yet |" in page
    mine.add(Operation("emr", "CreateStudio", lambda context, request: None, no_check, False))
    assert "| CreateStudio | yes |" in render(mine)
