#!/bin/bash
# `make check`: what no compiler and no test looks at. Prints findings, ends with a line that counts
# them; status 1 when there are any.
#   tools/check.sh build/release    BUILD holds the program, the library's objects and the tests'
# Each rule is a function that prints one line a finding. Before the tree is judged, a violation of
# each rule is planted in a copy of it: a rule that does not find its own is a finding itself.
set -u
build=$PWD/$1
tools/deps.sh check || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
product="core index server cli"

sources() { # of the tree in $1
    (cd "$1" && for folder in $product tests bench; do
        [ -d "$folder" ] && find "$folder" -name '*.[ch]'
    done | sort)
}

rule_format() {
    (cd "$1" && sources . | xargs clang-format -n -Werror 2>&1 | grep ': error: ')
}

# cli -> server -> index -> core/*, and within core the order of the list below:
# nothing includes what stands higher than itself, and every quoted include starts at the root.
rule_layers() {
    # shellcheck disable=SC2086
    (cd "$1" && grep -nE '^[ \t]*#[ \t]*include[ \t]*"' -r $product --include='*.[ch]') | awk -F: '
        BEGIN { n = split("core/base core/image core/nn core/objective core/views core/describe core/learn core/eval core/refine index server cli", at, " ")
                for (i = 1; i <= n; i++) rank[at[i]] = i }
        function place(path) { match(path, /^(core\/[a-z]+|[a-z]+)\//); return substr(path, 1, RLENGTH - 1) }
        {   split($3, quoted, "\"")
            from = place($1); to = place(quoted[2])
            if (!(to in rank)) print $1 ":" $2 ": \"" quoted[2] "\" is no path from the root to a layer"
            else if (rank[to] > rank[from]) print $1 ":" $2 ": " from " looks up to " to " (\"" quoted[2] "\")"
        }'
}

# One library, one door. SQLite: types may be named anywhere in index/, calls are sql.c's alone.
rule_doors() {
    (
        cd "$1" || exit
        door() { # HEADER FILE: only FILE includes it
            # shellcheck disable=SC2086
            grep -nE "^[ \t]*#[ \t]*include[ \t]*[<\"]$1" -r $product --include='*.[ch]' | grep -v "^$2:" |
                sed "s|$| (only $2 may)|"
        }
        door '(dnnl|oneapi/)' core/nn/dnn_inside.h
        door 'core/nn/dnn_inside' 'core/nn/dnn[a-z_]*\.c'
        door 'faiss/' index/faiss.c
        door 'microhttpd' server/http.c
        door 'curl/' cli/client.c
        door 'mpi\.h' core/learn/ranks.c
        door 'sqlite3' 'index/[a-z_]*\.[ch]'
        # shellcheck disable=SC2086
        grep -nE '\bsqlite3_[a-z0-9_]+ *\(' -r $product --include='*.[ch]' | grep -v '^index/sql.c:' |
            sed 's|$| (only index/sql.c calls SQLite)|'
    )
}

# Functions of the product that no file uses (the product's, the tests', bench/'s), and such that no
# header declares though they are not static. Static ones are the compiler's to find. Who uses what
# is read from the objects: what a macro makes or a table holds is neither missed nor accused.
rule_unused() { # $1: the objects' folder
    # shellcheck disable=SC2086
    find $product tests bench -name '*.c' | while read -r source; do
        object=$1/${source%.c}.o
        if [ -f "$object" ]; then echo "$object"; fi
    done >"$work/objects.list"
    # shellcheck disable=SC2086
    find $product -name '*.h' -exec grep -ohE '\bak_[a-z0-9_]+' {} + | sort -u >"$work/declared"
    if [ -f "$1/planted.o" ]; then echo "$1/planted.o" >>"$work/objects.list"; fi
    xargs nm -A -g <"$work/objects.list" | awk -v build="$1/" -v declared="$work/declared" '
        BEGIN { while ((getline name <declared) > 0) known[name] = 1 }
        {   file = substr($1, 1, index($1, ".o:") - 1); sub(build, "", file); name = $NF; kind = $(NF - 1) }
        kind == "T" && file !~ /^(tests|bench)\// { at[name] = file }
        kind == "U" { used[name] = 1 }
        END {
            for (name in at) if (name != "main") {
                source = at[name] ".c"; times = 0 # in its own file, the definition among them
                while ((getline line <source) > 0) if (line ~ "(^|[^a-z0-9_])" name "($|[^a-z0-9_])") times++
                close(source)
                if (!(name in known)) print source ": " name " is in no header: make it static"
                else if (!(name in used) && times < 2) print source ": " name " is used nowhere"
            }
        }' | sort
}

# What cppcheck 2.10 cannot follow is left out: differences of the ends of embedded files, memory
# whose owner is a table (asan finds real leaks), values that come back through pointers.
rule_lint() {
    rm -rf "$work/lint" && mkdir "$work/lint"
    (cd "$1" && sources . | tar cf - -T -) | tar xf - -C "$work/lint"
    [ -f "$work/lint/index/sql.h" ] && # it does not know __VA_OPT__
        sed -i 's/^#define AK_ARGS(.*/#define AK_ARGS(...) ((const ak_arg *)0)/' "$work/lint/index/sql.h"
    (cd "$work/lint" && cppcheck -q -j"$(nproc)" --std=c11 --language=c -I. --inline-suppr \
        --enable=warning,performance,portability --suppress=missingInclude --suppress=comparePointers \
        --suppress=memleak --suppress=invalidFunctionArg --suppress=uninitStructMember \
        --template='{file}:{line}: {message} [{id}]' . 2>&1 | grep -E '^[^ ]+:[0-9]+: ')
}

rule_scripts() {
    (cd "$1" && find tools tests .ci -type f \( -name '*.sh' -o -path .ci/run \) -print0 |
        xargs -0 shellcheck -S warning -f gcc)
}

# docs/tour.md: every file and every function() that it names is there.
rule_tour() {
    (
        cd "$1" || exit
        grep -oE '`[a-z_]+/[a-z_0-9./]*`' docs/tour.md | tr -d '`' | sort -u | while read -r path; do
            [ -e "$path" ] || echo "docs/tour.md: there is no $path"
        done
        # shellcheck disable=SC2086
        grep -oE '`[a-z_0-9]+\(\)`' docs/tour.md | tr -d '`()' | sort -u | while read -r name; do
            grep -qE "^[a-z].*\b$name\(" -r $product --include='*.c' || echo "docs/tour.md: there is no function $name"
        done
    )
}

# deps.txt's [run] is what the program is linked with, no more and no less (but for [mpi]).
rule_runtime() { # $1: a tree with deps.txt
    ldd "$build/akin" | awk '$2 == "=>" { print $1, $3 }' >"$work/libraries"
    readelf -d "$build/akin" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r name; do
        path=$(awk -v name="$name" '$1 == name { print $2 }' "$work/libraries")
        { dpkg -S "$path" || dpkg -S "$(readlink -f "$path")" || dpkg -S "/usr$path"; } 2>/dev/null | head -n 1
    done | sed 's/:.*//' | grep -vxE 'libc6|libgcc-s1|libopenmpi3' | sort -u >"$work/linked"
    (cd "$1" && tools/deps.sh --list run | sort -u) | diff "$work/linked" - |
        sed -n 's/^< /deps.txt: [run] lacks /p; s/^> /deps.txt: [run] names what akin is not linked with: /p'
}

# --- the rules find what they are for --------------------------------------------------------------

plant() { # RULE FILE TEXT: with TEXT at the end of FILE in a copy of the tree, the rule says so
    local rule=$1 file=$2 root=$work/planted
    rm -rf "$root" && mkdir "$root"
    # shellcheck disable=SC2086
    tar cf - .ci .clang-format deps.txt docs tools tests $product | tar xf - -C "$root"
    mkdir -p "$root/$(dirname "$file")"
    printf '%s\n' "$3" >>"$root/$file"
    planted=$((planted + 1))
    "rule_$rule" "$root" | grep -q planted || echo "check: the rule '$rule' misses what was planted in $file: $3"
}

self_test() {
    planted=0
    plant format core/base/planted.c 'int  ak_planted( void );'
    plant layers core/nn/planted.c '#include "core/learn/trainer.h"'
    plant layers core/base/planted.h '#include "index/store.h"'
    plant layers index/planted.c '#include "server/server.h"'
    plant layers server/planted.c '#  include "cli/cli.h"'
    plant layers cli/planted.c '#include "cli.h"'
    plant doors core/learn/planted.c '#include <dnnl.h>'
    plant doors index/planted.c '#include <faiss/c_api/Index_c.h>'
    plant doors server/planted.c '#include <sqlite3.h>'
    plant doors index/planted.c 'int ak_planted(sqlite3 *db) { return sqlite3_changes(db); }'
    plant doors cli/planted.c '#include <microhttpd.h>'
    plant doors core/learn/planted.c '#include <mpi.h>'
    plant doors server/planted.h '#include <curl/curl.h>'
    plant lint core/base/planted.c 'int ak_planted(void) { int a[2]; a[0] = 1; return a[2]; }'
    plant scripts tools/planted.sh '#!/bin/sh
cd $nowhere; rm -rf *'
    plant tour docs/tour.md 'See `core/base/planted.c`.'
    plant tour docs/tour.md 'See `ak_planted()`.'
    plant runtime deps.txt 'planted-package'
    # the objects are not in the tree: a folder of links and one more
    mkdir "$work/objects" && ln -s "$build"/* "$work/objects/"
    echo 'int ak_planted(void); int ak_planted(void) { return 1; }' |
        cc -x c -c -o "$work/objects/planted.o" -
    planted=$((planted + 1))
    rule_unused "$work/objects" | grep -qF 'ak_planted' || echo "check: the rule 'unused' misses what was planted"
}

self_test >"$work/findings"
for rule in format layers doors lint scripts tour; do "rule_$rule" .; done >>"$work/findings"
rule_unused "$build" >>"$work/findings"
rule_runtime . >>"$work/findings"
cat "$work/findings"
count=$(wc -l <"$work/findings")
echo "check: $count findings; $planted planted ones were looked for"
[ "$count" = 0 ]
