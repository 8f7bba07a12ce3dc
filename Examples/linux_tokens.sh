#!/usr/bin/env bash
# Makes a token file of Linux's source, as Debian packages it: long documents for training at long contexts.
#
#     Examples/linux_tokens.sh linux.tokens
#
# A document is a directory subtree of 256 KiB to 2 MiB, so that nearly every one has more than 65,536 tokens of GPT-2's encoding. Four
# subtrees are held out: a file system, a network protocol, the scheduler and a manual. Needs apt and dpkg-deb, and 2 GB in $TMPDIR.
# With a second argument, an unpacked tree or a part of one, nothing is obtained.
set -euo pipefail

output=${1:?usage: linux_tokens.sh OUTPUT [TREE]}
tree=${2:-}
power=${POWER:-$(dirname "$0")/../.build/release/power}
package=linux-source-6.1
context=65536
least=150000000

if [ -z "$tree" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && apt-get download "$package")
    # The package is an archive of an archive; neither is kept.
    dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -O "./usr/src/$package.tar.xz" | tar -x -J -C "$work"
    tree=$work/$package
fi

# The registers of AMD's cards are a third of the source, and generated tables.
tables=drivers/gpu/drm/amd/include/asic_reg
omitted=()
if [ -e "$tree/$tables" ]; then omitted=(--omit "$tables"); fi

"$power" data build "$tree" -o "$output" --tokenizer gpt2 --extension c,h,S,rst,txt --join-bytes 256K:2M \
    "${omitted[@]}" \
    --held-out-path fs/ext4 --held-out-path net/ipv4 --held-out-path kernel/sched --held-out-path Documentation/admin-guide

"$power" data info "$output" --verify --at-least $context >"$output.txt"
tokens=$(awk '$1 == "training" { print $4 }' "$output.txt")
held_out=$(awk '$2 == "out" { print $5 }' "$output.txt")
rm "$output.txt"
echo "in documents of $context tokens or more: $tokens for training, $held_out held out"
[ "${tokens:-0}" -ge $least ] || { echo "expected at least $least tokens for training" >&2; exit 1; }
