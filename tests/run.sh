#!/usr/bin/env bash
# All tests in an order that fails early: the console's and those that need no whole studio, then everything on a
# running studio (each process has one), then the API on PostgreSQL. Two processes share the work file by file: the
# tests of a file stay together, for many have a fixture in common and some follow one another.
set -euo pipefail
cd "$(dirname "$0")/.."
# What the tests leave in temporary folders goes with the run: gigabytes else, and a full disk makes the next run fail.
# Workspaces' and clusters' users must reach what is theirs in it.
TMPDIR=$(mktemp -d /tmp/emr-t-XXXX)
export TMPDIR
chmod 755 "$TMPDIR"
trap 'rm -rf --one-file-system "$TMPDIR" || true' EXIT
# What is marked `soak` is for `make soak`.
PYTEST=(.venv/bin/pytest -q -m "not soak" -n "${WORKERS:-2}" --dist loadfile)
for web in console packages/workspace/lab; do if [ -d $web/node_modules ]; then (cd $web && npm test --silent); fi; done
"${PYTEST[@]}" packages tests/api tests/security tests/fuzz
"${PYTEST[@]}" tests/system tests/browser tests/chaos
# What has no database is not run again on another one (-k looks at a test's parameters, too).
WITH="studios or workspaces or clusters or iam or network or controllers or signin or migrate or trail_journal or \
trail_lookup or trail_trails or keys_api or secrets_api"
WITHOUT="the_command or iam_policy or iam_questions or iam_tiers or panel_secrets or aws_round_trip or aws_sigv4 or \
errors_on_the_wire or wire_clients or edge_caddy or s3_external"
"${PYTEST[@]}" -p tests.support.postgres tests/api packages/studio/tests --ignore packages/studio/tests/test_iam_cli.py \
  -k "($WITH) and not ($WITHOUT)"
