#!/usr/bin/env bash
# Writes the seeds to fuzz/corpus: the golden transcripts, each after the bytes that tell the properties
# how to split it, and their error bodies for the refusals.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# TARGET PREFIX FILE: writes one seed; PREFIX has the escapes of printf's %b.
seed() {
  mkdir -p "corpus/$1"
  { printf '%b' "$2" && cat; } >"corpus/$1/$3"
}

count=0
for transcript in ../tests/transcripts/*.sse; do
  name=$(basename "$transcript" .sse)
  # Two cuts; after every byte.
  seed sse_decoder '\x02\x00\x21\x00\x80' "$name-cut" <"$transcript"
  seed sse_decoder '\x07' "$name-bytes" <"$transcript"
  seed normalizer '\x02\x00\x21\x00\x80' "$name-cut" <"$transcript"
  # A part that is repeated up to the size limit.
  seed sse_bounds '\x08\x01\x80\x00' "$name-line" <"$transcript"
  seed sse_bounds '\x00\x40\x60\x01\x20\x00' "$name-frames" <"$transcript"
  # The first error object as a body: refused with 400, and with 429 and a wait.
  if error=$(grep -m 1 -a -o '{"error".*' "$transcript"); then
    seed refusal '\x01\x90\x00\x00' "$name-400" <<<"$error"
    seed refusal '\x01\xad\x03\x061500\n2' "$name-429" <<<"$error"
  fi
  count=$((count + 1))
done
for transcript in ../tests/transcripts/responses/*.sse; do
  name=$(basename "$transcript" .sse)
  seed responses '\x02\x00\x21\x00\x80' "$name-cut" <"$transcript"
  seed responses '\x07' "$name-bytes" <"$transcript"
  count=$((count + 1))
done
echo "wrote the seeds of $count transcripts"
