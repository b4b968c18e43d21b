"""What a user or role may do whatever the circumstances, remembered as long as its policies stand.

Where no policy that speaks of an action has a condition or a variable, the decision follows from action,
resource and the resource's owner alone. Such an Allow is kept with the `Subject`, which any change of the
account's identities replaces, so that a change acts on the next request here as it does everywhere.

Left out: whoever brings policies of their own (sessions, federated users), resources with a policy, and
actions on which a trust or key policy speaks.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller, Check
from emr_studio.clock import Clock
from emr_studio.iam import uses
from emr_studio.iam.policy import Layer
from emr_studio.iam.subjects import SUBJECTS, Subject

_KINDS = ("user", "role-session")
_OTHERS_SPEAK = ("sts:", "kms:")
_MOST = 4096


def subject_alone(session: Session, caller: Caller, check: Check) -> Subject | None:
    """The user or role if its own policies are all that speak of the check."""
    if caller.kind not in _KINDS or caller.session_policies or caller.federating_user is not None:
        return None
    if check.resource_policy is not None or check.action[:4].lower() in _OTHERS_SPEAK:
        return None
    return SUBJECTS.get(session, caller.account_id, caller.user_id.partition(":")[0])


def is_settled(subject: Subject, check: Check) -> bool:
    """True if it was allowed before, for reasons that still stand."""
    return (check.action, check.resource, str(check.context.get("aws:ResourceAccount"))) in subject.settled


def settle(subject: Subject, check: Check) -> None:
    """Remember that the check was allowed, if that depended on nothing else."""
    action = check.action.lower()
    layers = (subject.identity, subject.boundary)
    if len(subject.settled) < _MOST and all(layer is None or _is_plain(layer, action) for layer in layers):
        subject.settled.add((check.action, check.resource, str(check.context.get("aws:ResourceAccount"))))


class IamSettled:
    """The same for those who keep decisions themselves (`storage.s3_reads.Settled`)."""

    def stands(self, session: Session, caller: Caller, check: Check) -> bool:
        alone = subject_alone(session, caller, check)
        return alone is not None and is_settled(alone, check)

    def used(self, caller: Caller, service: str, region: str, clock: Clock) -> None:
        if caller.access_key_id is not None:
            uses.note(caller, uses.Use(clock.now(), service, region))


def _is_plain(layer: Layer, action: str) -> bool:
    """True if nothing that a layer says of an action depends on the request's context."""
    denies, allows = layer.candidates(action)
    return all(entry.statement.is_plain for entry in (*denies, *allows))
