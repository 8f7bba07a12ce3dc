#!/bin/sh
# Writes the commit of a package as a Swift file.
#
#     describe.sh <folder of the package> <file> <source>...
#
# Sources are files and folders, relative to the package: where one of them differs from the commit, the commit has a mark.
set -eu

package=$1 file=$2
shift 2
# A hook has variables that lead git to another checkout.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export GIT_OPTIONAL_LOCKS=0

commit=unknown
# A package within another checkout has no commit of its own.
if prefix=$(git -C "$package" rev-parse --show-prefix 2>/dev/null) && [ -z "$prefix" ] &&
    name=$(git -C "$package" describe --always 2>/dev/null) &&
    changes=$(git -C "$package" status --porcelain --untracked-files=all -- "$@" ':(exclude)*.docc/*' 2>/dev/null); then
    commit=$name${changes:+-dirty}
fi
printf 'extension SourceCommit {\n    static var builtFrom: String { "%s" }\n}\n' "$commit" >"$file"
