#!/usr/bin/env bash
# Builds the files of a release: the program in an archive, the list of what it is made of, and checksums.
#
# The program itself carries the list of its dependencies (`cargo auditable`), so that a scanner can
# check an installed copy. The same list lies beside it in CycloneDX's format.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly CARGO_AUDITABLE_VERSION=0.7.7
readonly CARGO_CYCLONEDX_VERSION=0.5.9

usage() {
  cat <<'END'
Usage: deploy/release.sh [FOLDER]

Builds the release of this checkout and puts its files into FOLDER (default: target/dist):
  rasta-stream-VERSION-TARGET.tar.gz  the program, its licenses and .env.example
  rasta-stream-VERSION.cdx.json       its dependencies, as CycloneDX 1.5
  SHA256SUMS
Wants Rust, git and a C compiler.
END
}

case ${1-} in -h | --help) usage && exit ;; esac
(($# <= 1)) || { usage >&2 && exit 2; }
readonly FOLDER=${1:-target/dist}
readonly TOOLS=target/tools
export CARGO_TARGET_DIR="$PWD/target"

# Built here, since the registry has sources only. A dev build compiles fastest.
install_tool() {
  local name=$1 version=$2
  [[ -x $TOOLS/bin/$name && "$(cat "$TOOLS/$name.version" 2>/dev/null)" == "$version" ]] && return
  CARGO_PROFILE_DEV_DEBUG=0 cargo install "$name" --version "$version" \
    --locked --debug --force --quiet --no-track --root "$TOOLS" --target-dir "$TOOLS/build"
  rm -rf "$TOOLS/build"
  echo "$version" >"$TOOLS/$name.version"
}

install_tool cargo-auditable "$CARGO_AUDITABLE_VERSION"
install_tool cargo-cyclonedx "$CARGO_CYCLONEDX_VERSION"
PATH="$PWD/$TOOLS/bin:$PATH"

cargo auditable build --release --locked --bin rasta-stream

VERSION=$(target/release/rasta-stream --version | cut -d' ' -f2)
TARGET=$(rustc -vV | sed -n 's/^host: //p')
readonly VERSION TARGET
readonly NAME=rasta-stream-$VERSION-$TARGET
# The same commit gives the same times in the archive, whenever it is built.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

rm -rf "$FOLDER"
mkdir -p "$FOLDER/$NAME"
cargo cyclonedx --quiet --format json --describe binaries --spec-version 1.5
# The path of the checkout is not part of the release.
sed "s|path+file://$PWD|path+file:///rasta-stream|g" rasta-stream_bin.cdx.json \
  >"$FOLDER/rasta-stream-$VERSION.cdx.json"
rm rasta-stream_bin.cdx.json

cp target/release/rasta-stream README.md CHANGELOG.md LICENSE LICENSE-APACHE LICENSE-MIT \
  .env.example "$FOLDER/$NAME/"
tar --create --directory "$FOLDER" --sort=name --mtime="@$SOURCE_DATE_EPOCH" \
  --owner=0 --group=0 --numeric-owner "$NAME" | gzip --no-name --best >"$FOLDER/$NAME.tar.gz"
rm -r "${FOLDER:?}/$NAME"
(cd "$FOLDER" && sha256sum -- *.json *.tar.gz >SHA256SUMS)
ls -l "$FOLDER"
