#!/usr/bin/env bash
# Installs what checks the page from npm into target/page-tools, unless it is there. Nothing of it is served.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly FOLDER=target/page-tools
# TypeScript's compiler, axe, and the specification of Markdown with its reference implementation.
readonly PACKAGES=(typescript@5.9.3 axe-core@4.14.1 commonmark-spec@0.31.2 commonmark@0.31.2)

mkdir -p "$FOLDER"
# Two tests may need it at the same time.
exec 9>"$FOLDER/lock"
flock 9
[[ "$(cat "$FOLDER/installed" 2>/dev/null)" == "${PACKAGES[*]}" ]] && exit
npm install --prefix "$FOLDER" --no-save --no-audit --no-fund --ignore-scripts --loglevel error "${PACKAGES[@]}"
echo "${PACKAGES[*]}" >"$FOLDER/installed"
