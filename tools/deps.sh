#!/bin/sh
# Installs the packages of some sections of deps.txt that this machine lacks: as root, or by sudo.
#   tools/deps.sh SECTION...
#   tools/deps.sh --list SECTION...   only prints their names
set -eu
list=
if [ "$1" = --list ]; then list=1 && shift; fi
deps=$(dirname "$0")/../deps.txt

wanted=
for section in "$@"; do
    wanted="$wanted $(awk -v section="[$section]" '
        { sub(/[ \t]*#.*/, "") }
        /^\[/ { inside = $0 == section; found += inside; next }
        inside && NF { print }
        END { if (!found) exit 1 }' "$deps")" || { echo "deps.txt has no section [$section]" >&2; exit 1; }
done
if [ -n "$list" ]; then
    for package in $wanted; do echo "${package%%>=*}"; done
    exit
fi

installed() {
    dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}
missing=""
conditional=""
for package in $wanted; do
    installed "${package%%>=*}" && continue
    case $package in
    *'>='*) conditional="$conditional $package" ;;
    *) missing="$missing $package" ;;
    esac
done
if [ -n "$missing$conditional" ] && ! command -v apt-get >/dev/null; then
    echo "these Debian packages are needed:$missing$conditional" >&2
    exit 1
fi
root=
if [ "$(id -u)" != 0 ]; then root=sudo; fi
if [ -n "$missing" ]; then
    if [ -n "$root" ] && ! command -v sudo >/dev/null; then
        echo "packages are missing and there is no sudo; as root: apt-get install$missing" >&2
        exit 1
    fi
    $root apt-get update -qq
fi
for package in $conditional; do
    name=${package%%>=*}
    candidate=$(apt-cache policy "$name" 2>/dev/null | sed -n 's/^ *Candidate: //p')
    case $candidate in [0-9]*) ;; *) continue ;; esac
    if dpkg --compare-versions "$candidate" ge "${package#*>=}"; then missing="$missing $name"; fi
done
[ -n "$missing" ] || exit 0
echo "installing:$missing"
# shellcheck disable=SC2086
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 $missing >/dev/null </dev/null
