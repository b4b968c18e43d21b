"""The policy language: grammar, matching, conditions, variables, evaluation. Pure: no I/O.

    parse(text, kind)          grammar; raises MalformedPolicy with AWS's message
    validate(text, kind)       grammar and the late checks that AWS makes when a policy is saved
    compile_layer(sources)     policies of one kind, compiled once and cached by their text
    evaluate(request, ...)     a Decision in AWS's order (spec: IAM evaluation, section 8)

A policy is read once into closures: matchers of actions and resources, conditions as functions of
the request's context. A `Layer` remembers for each action which statements can apply, so that a
decision looks at a handful of them however many there are.
"""

from emr_studio.iam.policy.compiler import Layer, PolicySource, StatementRef, compile_layer
from emr_studio.iam.policy.errors import MalformedPolicy
from emr_studio.iam.policy.evaluate import (
    ALLOWED,
    EXPLICITLY_DENIED,
    IMPLICITLY_DENIED,
    Decision,
    PolicySet,
    Request,
    evaluate,
)
from emr_studio.iam.policy.grammar import Document, PolicyKind, parse
from emr_studio.iam.policy.principals import Principal
from emr_studio.iam.policy.validation import size_without_white_space, validate

__all__ = [
    "ALLOWED",
    "EXPLICITLY_DENIED",
    "IMPLICITLY_DENIED",
    "Decision",
    "Document",
    "Layer",
    "MalformedPolicy",
    "PolicyKind",
    "PolicySet",
    "PolicySource",
    "Principal",
    "Request",
    "StatementRef",
    "compile_layer",
    "evaluate",
    "parse",
    "size_without_white_space",
    "validate",
]
