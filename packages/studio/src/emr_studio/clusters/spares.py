"""Warm spares: clusters that run before anybody asked, so that RunJobFlow has one at once.

A spare is an ordinary cluster, with programs, addresses and secrets of its own, in no account and
with no role: the token that its nodes hold fetches nothing. RunJobFlow gives it away where every
program of the new cluster would have been started in exactly the same way; that rule, and no list
of members, says which requests a spare can serve. The keeper then makes the next one, of the size,
release and configuration of the newest cluster, because people repeat what they do.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from emr_studio import ids
from emr_studio.aws.context import Context
from emr_studio.clock import Clock
from emr_studio.clusters.catalog.releases import newest_release
from emr_studio.clusters.model import (
    COMING,
    ENDED,
    Cluster,
    Instance,
    InstanceGroup,
    Role,
    State,
    Target,
    instances_of,
    living_instances_of,
    new_instance,
    next_uid,
)
from emr_studio.clusters.nodes import Layout, specification
from emr_studio.clusters.probe import Probe
from emr_studio.clusters.roles import grant_nodes
from emr_studio.db import Database
from emr_studio.network.model import ensure_default_network, get_subnets
from emr_studio.settings import Settings

log = logging.getLogger(__name__)

KIND = "spare"
NOBODY = ""
"""The account of a spare: that of no caller, so that no operation finds it."""
_KEPT = "spares"
QUIET = dt.timedelta(seconds=20)
"""The next spare comes so long after the last cluster did: its user works now, and needs the machine."""
AFTER_FAILURE = dt.timedelta(minutes=10)
_RESERVE_MB = 2048
"""A spare leaves at least so much of the machine's memory to others."""
_SMALL_MACHINE_BYTES = 8 * 1024**3
_COPIED = ("region", "release_label", "applications", "vpc_id", "subnet_id", "availability_zone")


def is_spare(cluster: Cluster) -> bool:
    """True until it is given to somebody."""
    return cluster.account_id == NOBODY


def spares_wanted(settings: Settings) -> int:
    """How many spares this machine is to hold: as set, or one where there is memory for it."""
    if settings.warm_spares is not None:
        return settings.warm_spares
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0 if total < _SMALL_MACHINE_BYTES else 1


def identify(session: Session, cluster: Cluster) -> None:
    """Give a new row its id, its user, and what its processes prove themselves with."""
    cluster.id = ids.cluster_id()
    cluster.uid = next_uid(session, cluster.id)
    cluster.secret, cluster.gateway_token, cluster.connect_token = (secrets.token_urlsafe(32) for _ in range(3))


# What RunJobFlow asks.


def take_spare(context: Context, wanted: Cluster, groups: Sequence[Mapping[str, Any]]) -> Cluster | None:
    """Give a spare to the cluster that a request wants (not yet a row); None where none fits.

    The row returned is `wanted` under the spare's id, RUNNING; its groups are still to be added
    (`settle_instances`).
    """
    count = sum(group["InstanceCount"] for group in groups)
    settings = context.port(Settings)
    for spare in _waiting(context.session, wanted):
        nodes = instances_of(context.session, spare.id)
        if len(nodes) == count and all(node.state == "RUNNING" for node in nodes):
            _take_identity(wanted, spare)
            if _programs(settings, wanted, nodes) == _programs(settings, spare, nodes):
                return _give(context.session, settings, spare, wanted, nodes)
    return None


def _waiting(session: Session, wanted: Cluster) -> Sequence[Cluster]:
    if wanted.bootstrap_actions:
        return ()
    found = select(Cluster).where(
        Cluster.account_id == NOBODY,
        Cluster.state == State.WAITING,
        Cluster.target == Target.RUNNING,
        Cluster.subnet_id == wanted.subnet_id,
        Cluster.release_label == wanted.release_label,
    )
    # Two requests never get the same one.
    return session.scalars(found.order_by(Cluster.creation_time).with_for_update(skip_locked=True)).all()


def _take_identity(wanted: Cluster, spare: Cluster) -> None:
    for name in ("id", "uid", "secret", "gateway_token", "connect_token", "role_token"):
        setattr(wanted, name, getattr(spare, name))


def _programs(settings: Settings, cluster: Cluster, nodes: Sequence[Instance]) -> list[str]:
    """How every program of the cluster is started, as text."""
    layout = Layout(cluster, nodes)
    return [repr(specification(settings, layout, program)) for program in layout.programs()]


def _give(session: Session, settings: Settings, spare: Cluster, wanted: Cluster, nodes: Sequence[Instance]) -> Cluster:
    primary = next(node for node in nodes if node.role == Role.MASTER)
    grant_nodes(session, settings, wanted, primary.ec2_id)
    wanted.state, wanted.ready_time = State.RUNNING, wanted.creation_time
    wanted.state_message, wanted.phases = "Running step", []
    log.info("the spare %s is now %s of account %s", spare.id, wanted.name, wanted.account_id)
    return session.merge(wanted)


def settle_instances(session: Session, cluster: Cluster, groups: Sequence[InstanceGroup]) -> None:
    """Put the nodes of a spare that was given away into the groups that were asked for."""
    nodes = iter(instances_of(session, cluster.id))
    for group in groups:
        for _ in range(group.requested_count):
            node = next(nodes)
            node.group_id, node.role, node.instance_type = group.id, group.role, group.instance_type
            node.creation_time = node.ready_time = cluster.creation_time
    session.flush()
    own = [group.id for group in groups]
    session.execute(delete(InstanceGroup).where(InstanceGroup.cluster_id == cluster.id, InstanceGroup.id.not_in(own)))


# What the clusters' controller asks.


def make_room(database: Database) -> bool:
    """Let all spares end, for a cluster that lacks memory; False if there is none to end."""
    with database.write() as session:
        living = _living(session)
        for spare in living:
            spare.target = Target.TERMINATED
        return bool(living)


# The keeper.


class SpareKeeper:
    """Keeps as many spares as are wanted, in a quiet moment, where the machine has room."""

    kind = KIND

    def __init__(self, database: Database, clock: Clock, settings: Settings, probe: Probe) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._probe = probe
        self._since = clock.now()

    def pending(self) -> list[str]:
        """One name, where a spare is to be made, ended or forgotten."""
        with self._database.read() as session:
            return [_KEPT] if self._is_due(session) else []

    def owner_exists(self, owner: str) -> bool | None:
        """Spares are clusters: theirs are not for this controller to tell."""
        return None

    def reconcile(self, resource_id: str) -> float | None:
        """Forget those that ended, end those that are too many or of no use, make one that is missing."""
        with self._database.write() as session:
            self._forget(session)
            model = newest_cluster(session)
            fitting = [spare for spare in _living(session) if self._fits(session, spare, model)]
            keep = fitting[: spares_wanted(self._settings)]
            for spare in _living(session):
                if spare not in keep:
                    spare.target = Target.TERMINATED
            if self._lacks_one(session, len(keep)):
                self._make(session, model)
        return None

    def _is_due(self, session: Session) -> bool:
        living = _living(session)
        model = newest_cluster(session)
        fitting = [spare for spare in living if self._fits(session, spare, model)]
        ending = [s for s in living if s.target != Target.RUNNING]
        surplus = len(living) - len(ending) > min(len(fitting), spares_wanted(self._settings))
        return surplus or bool(self._forgettable(session)) or self._lacks_one(session, len(fitting))

    def _fits(self, session: Session, spare: Cluster, model: Cluster | None) -> bool:
        if spare.target != Target.RUNNING:
            return False
        if model is None:
            return True
        same = all(getattr(spare, name) == getattr(model, name) for name in (*_COPIED, "configurations"))
        return same and len(instances_of(session, spare.id)) == _size(session, model)

    def _lacks_one(self, session: Session, have: int) -> bool:
        return have < spares_wanted(self._settings) and self._is_quiet(session) and self._has_room(session)

    def _is_quiet(self, session: Session) -> bool:
        now = self._clock.now()
        if now - self._since < QUIET or session.scalar(select(Cluster.id).where(Cluster.state.in_(COMING)).limit(1)):
            return False
        if any(spare.target != Target.RUNNING for spare in _living(session)):
            return False
        failed = select(Cluster.end_time).where(Cluster.account_id == NOBODY, Cluster.target == Target.FAILED)
        last = session.scalar(failed.order_by(Cluster.end_time.desc()).limit(1))
        if last is not None and now - last < AFTER_FAILURE:
            return False
        newest = newest_cluster(session)
        return newest is None or now - newest.creation_time >= QUIET

    def _has_room(self, session: Session) -> bool:
        model = newest_cluster(session)
        size = _size(session, model) if model else 1
        needed = needed_memory_of(size)
        return self._probe.free_memory() >= needed + _RESERVE_MB

    def _forgettable(self, session: Session) -> list[Cluster]:
        """Spares that ended; one that failed is remembered for a while, so that the next is not made at once."""
        ended = session.scalars(select(Cluster).where(Cluster.account_id == NOBODY, Cluster.state.in_(ENDED)))
        old = self._clock.now() - AFTER_FAILURE
        return [s for s in ended if s.target != Target.FAILED or (s.end_time is not None and s.end_time <= old)]

    def _forget(self, session: Session) -> None:
        for spare in self._forgettable(session):
            session.execute(delete(Instance).where(Instance.cluster_id == spare.id))
            session.execute(delete(InstanceGroup).where(InstanceGroup.cluster_id == spare.id))
            session.delete(spare)
        session.flush()

    def _make(self, session: Session, model: Cluster | None) -> None:
        now = self._clock.now()
        shape = _shape_of(model) if model else self._first_shape(session)
        spare = Cluster(
            account_id=NOBODY,
            name="spare",
            service_role="",
            job_flow_role="",
            role_arn="",
            keep_alive=True,
            creator_user_id="",
            state=State.STARTING,
            target=Target.RUNNING,
            creation_time=now,
            phase_since=now,
            # The nodes hold it from the start; it is good for nothing before a role is granted.
            role_token=secrets.token_urlsafe(32),
            **shape,
        )
        identify(session, spare)
        session.add(spare)
        session.flush()
        _add_nodes(session, spare, _size(session, model) if model else 1)
        log.info("the spare %s is made", spare.id)

    def _first_shape(self, session: Session) -> dict[str, Any]:
        """Before there was any cluster: one node of the newest release in the default network."""
        network = ensure_default_network(session, self._settings, self._settings.account_id)
        [subnet] = get_subnets(session, self._settings.account_id, [network.subnet_ids[0]])
        release = newest_release()
        return {
            "region": self._settings.region,
            "release_label": release.label,
            "applications": list(release.applications),
            "vpc_id": subnet.vpc_id,
            "subnet_id": subnet.id,
            "availability_zone": subnet.availability_zone,
            "details": {},
        }


def newest_cluster(session: Session) -> Cluster | None:
    """The newest cluster that a spare could have served."""
    found = select(Cluster).where(Cluster.account_id != NOBODY).order_by(Cluster.creation_time.desc()).limit(20)
    return next((cluster for cluster in session.scalars(found) if not cluster.bootstrap_actions), None)


def needed_memory_of(size: int) -> int:
    """What a spare of so many nodes takes of the machine's memory, about, in MB."""
    nodes = [Instance(id=str(n), cluster_id="", role=Role.CORE if n else Role.MASTER) for n in range(size)]
    return Layout(Cluster(), nodes).needed_memory()


def _living(session: Session) -> list[Cluster]:
    living = select(Cluster).where(Cluster.account_id == NOBODY, Cluster.state.not_in(ENDED))
    return list(session.scalars(living.order_by(Cluster.creation_time)))


def _size(session: Session, cluster: Cluster) -> int:
    """Nodes that were asked for when it was made, as near as the rows still tell."""
    living = living_instances_of(session, cluster.id)
    return len(living) or len(instances_of(session, cluster.id))


def _shape_of(model: Cluster) -> dict[str, Any]:
    copied = {name: getattr(model, name) for name in (*_COPIED, "configurations", "security", "details")}
    return dict(json.loads(json.dumps(copied)))


def _add_nodes(session: Session, spare: Cluster, size: int) -> None:
    for position, (role, count) in enumerate(((Role.MASTER, 1), (Role.CORE, size - 1))):
        if not count:
            continue
        group = InstanceGroup(
            id=ids.instance_group_id(),
            cluster_id=spare.id,
            position=position,
            name="",
            role=role,
            instance_type="",
            requested_count=count,
        )
        session.add(group)
        session.flush()
        for number in range(count):
            session.add(new_instance(group, position + number, spare.creation_time))
    session.flush()
