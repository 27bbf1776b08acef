#!/usr/bin/env bash
# Installs what the checks need and runs them: the one command for people and for CI. `--help` lists the
# tiers. Wants Rust (cargo, rustfmt, clippy) and, for what is missing, apt-get.
#
# A tool that cannot be had is a failure, never a skipped test. One check alone depends on the
# network it finds: advisories, whose database is a git repository on a public host.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec </dev/null # Nothing here may wait for an answer.

usage() {
  cat <<'END'
Usage: ./test.sh [TIER]

Tiers:
  all   every check and test there is; what CI runs, and the default
  fast  formatting, unit tests, the suites that need no browser, nginx or load, and the page's
        JavaScript: under a minute once everything is built
END
}

die() {
  printf 'test.sh: %s\n' "$*" >&2
  exit 1
}

(($# <= 1)) || die "too many arguments: see ./test.sh --help"
readonly TIER=${1-all}
case $TIER in
  all | fast) ;;
  -h | --help) usage && exit ;;
  *) die "unknown tier '$TIER': see ./test.sh --help" ;;
esac

readonly CARGO_DENY_VERSION=0.20.2
readonly OPENAI_SDK_VERSION=3.54.0
# The newest that run on Debian's Node; the next major versions want a newer one.
readonly OPENAI_NODE_SDK_VERSION=6.49.0
readonly AI_SDK_VERSION=6.0.325
readonly AI_SDK_AZURE_VERSION=3.0.128
readonly KUBERNETES_VALIDATE_VERSION=1.37.0

# All that follows relies on the place, also where the caller keeps build output elsewhere.
export CARGO_TARGET_DIR="$PWD/target"
readonly TOOLS=target/tools
readonly SDK_VENV=target/sdk-venv
readonly SDK_NODE=target/sdk-node
readonly MANIFESTS_VENV=target/manifests-venv
# Where Debian has nginx, and where an ordinary user does not look.
PATH="$PATH:/usr/sbin"

say() { printf '\n== %s\n' "$*"; }

step() {
  say "$*"
  local since=$SECONDS
  "$@"
  printf '== done in %d s\n' "$((SECONDS - since))"
}

# The commands that each tier needs, and the Debian packages that have them.
readonly COMMANDS=(
  "fast cc gcc libc6-dev"
  "fast node nodejs"
  "fast openssl openssl" # Makes certificates.
  "fast redis-cli redis-tools"
  "fast redis-server redis-server"
  "fast tinyproxy tinyproxy"
  "all chromedriver chromium-driver"
  "all chromium chromium"
  "all git git" # Fetches the advisories.
  "all nginx nginx-light"
  "all npm npm"
  "all promtool prometheus" # Checks the alerts and the figures.
)

install_packages() {
  local row tier command packages missing=()
  for row in "${COMMANDS[@]}"; do
    read -r tier command packages <<<"$row"
    [[ $tier == fast || $TIER == all ]] || continue
    # Unquoted: a row may name several packages.
    command -v "$command" >/dev/null || missing+=($packages)
  done
  # What is no command.
  compgen -G '/usr/lib/*/libnss_wrapper.so' >/dev/null || missing+=(libnss-wrapper)
  if [[ $TIER == all ]]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
  fi
  ((${#missing[@]})) || return 0

  say "install ${missing[*]}"
  command -v apt-get >/dev/null || die "no apt-get here: install ${missing[*]} by hand"
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "not root and no sudo: install ${missing[*]} by hand"
    as_root=(sudo)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get --quiet --yes -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update || die "apt-get update failed"
  "${apt[@]}" install --no-install-recommends "${missing[@]}" ||
    die "apt-get could not install ${missing[*]}"
}

check_toolchain() {
  # Rustup adds itself to the PATH of login shells only.
  command -v cargo >/dev/null || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  command -v cargo >/dev/null || die "no cargo: install Rust from https://rustup.rs"
  cargo fmt --version >/dev/null 2>&1 || die "no rustfmt: rustup component add rustfmt"
  cargo clippy --version >/dev/null 2>&1 || die "no clippy: rustup component add clippy"
}

# Built here, since nobody ships a current binary. A dev build without debug information compiles
# in about a minute and checks this crate's graph in a second.
install_cargo_deny() {
  [[ "$("$TOOLS/bin/cargo-deny" --version 2>/dev/null)" == "cargo-deny $CARGO_DENY_VERSION" ]] &&
    return
  CARGO_PROFILE_DEV_DEBUG=0 cargo install cargo-deny --version "$CARGO_DENY_VERSION" \
    --locked --debug --force --quiet --no-track --root "$TOOLS" --target-dir "$TOOLS/build"
  rm -rf "$TOOLS/build"
}

cargo_deny() { "$TOOLS/bin/cargo-deny" --locked "$@"; }

check_advisories() {
  local said
  if said=$(GIT_TERMINAL_PROMPT=0 timeout 120 "$TOOLS/bin/cargo-deny" fetch db 2>&1); then
    cargo_deny check --disable-fetch advisories
  else
    echo "test.sh: advisories NOT checked, their database is out of reach: ${said##*$'\n'}"
  fi
}

install_sdk() {
  "$SDK_VENV/bin/python" -c 'import importlib.metadata as m, sys
sys.exit(m.version("openai") != sys.argv[1])' "$OPENAI_SDK_VERSION" 2>/dev/null && return
  python3 -m venv --clear "$SDK_VENV"
  "$SDK_VENV/bin/python" -m pip --disable-pip-version-check install --quiet \
    "openai==$OPENAI_SDK_VERSION"
}

install_manifest_check() {
  "$MANIFESTS_VENV/bin/python" -c 'import importlib.metadata as m, sys
sys.exit(m.version("kubernetes-validate") != sys.argv[1])' "$KUBERNETES_VALIDATE_VERSION" \
    2>/dev/null && return
  python3 -m venv --clear "$MANIFESTS_VENV"
  "$MANIFESTS_VENV/bin/python" -m pip --disable-pip-version-check install --quiet \
    "kubernetes-validate==$KUBERNETES_VALIDATE_VERSION"
}

install_from_npm() {
  local folder=$1
  shift
  [[ "$(cat "$folder/installed" 2>/dev/null)" == "$*" ]] && return
  rm -rf "$folder"
  mkdir -p "$folder"
  npm install --prefix "$folder" --no-save --no-audit --no-fund --ignore-scripts \
    --loglevel error "$@"
  echo "$*" >"$folder/installed"
}

install_node_sdk() {
  install_from_npm "$SDK_NODE" "openai@$OPENAI_NODE_SDK_VERSION" "ai@$AI_SDK_VERSION" \
    "@ai-sdk/azure@$AI_SDK_AZURE_VERSION"
}

# Suites that need a browser or nginx, that put a replica under load, or that wait for the kernel's or
# upstream's time-outs.
readonly SLOW_SUITES=(
  deploy:: page:: soak::
  replication::faults:: replication::long_log::
  http::sockets::
)

run_tests() {
  # Most tests wait for sockets and processes, so there are more threads than cores.
  # Without optimization, futures of tests that run several servers need more stack than the default.
  RUST_MIN_STACK=8388608 RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))} cargo test --locked "$@"
}

check_page() { node --test tests/page/*.test.mjs; }

check_page_types() { target/page-tools/node_modules/.bin/tsc -p tests/page/tsconfig.json; }

install_packages
check_toolchain
step cargo fmt --all --check

if [[ $TIER == fast ]]; then
  step cargo test --locked --no-run --lib --test api
  readonly BUILT=$SECONDS
  step run_tests --lib
  step run_tests --test api -- "${SLOW_SUITES[@]/#/--skip=}"
  step check_page
  say "the fast checks passed in $((SECONDS - BUILT)) s"
  exit
fi

# The SDK check takes the program that the tests have built. A `cargo build` of its own would
# compile many dependencies again, with the features they have without the dev-dependencies.
step cargo clippy --all-targets --locked -- -D warnings
step tests/page/tools.sh
step run_tests
step check_page
step node --test tests/page/commonmark.mjs
step check_page_types
RUSTDOCFLAGS="-D warnings" step cargo doc --no-deps --locked --document-private-items
step install_sdk
step "$SDK_VENV/bin/python" tests/sdk/azure_openai.py target/debug/rasta-stream
step "$SDK_VENV/bin/python" tests/sdk/responses.py target/debug/rasta-stream
step python3 tests/sdk/server.py target/debug/rasta-stream
step "$SDK_VENV/bin/python" tests/sdk/completions.py target/debug/rasta-stream
step install_node_sdk
step node tests/sdk/azure_openai.mjs target/debug/rasta-stream "$SDK_NODE"
step node tests/sdk/responses.mjs target/debug/rasta-stream "$SDK_NODE"
step node tests/sdk/completions.mjs target/debug/rasta-stream "$SDK_NODE"
step install_manifest_check
step "$MANIFESTS_VENV/bin/python" tests/deploy/manifests.py target/debug/rasta-stream
step deploy/release.sh target/dist
step python3 tests/deploy/release.py target/dist
step install_cargo_deny
step cargo_deny check --hide-inclusion-graph bans licenses sources
step check_advisories

say "every check passed in $SECONDS s"
