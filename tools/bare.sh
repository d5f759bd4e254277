#!/bin/bash
# `make bare`: the two commands of the README on a machine that has nothing.
#
# Makes a minimal Debian 12 (debootstrap, from the archive that this machine's own apt uses) in a
# temporary folder, clones the project into it, runs `make run` until /readyz answers, uploads
# pictures and finds them again, ends the server, and runs `make test`. Prints PASS or FAIL a step.
#
# Installed beforehand are only make (it is the command), git (it brings the project, and the clone
# is part of the proof) and ca-certificates (for an archive that is read by https). Everything else,
# the compiler included, the Makefile has to bring.
#
#   AKIN_BARE_DIR=/var/tmp    where the folder is made; about 4 GB are needed
#   AKIN_BARE_WORKTREE=1      take the working tree as it is instead of a clone of what is committed
#   AKIN_BARE_MINUTES=40      the longest wait for the server
# Needs root: the system's processes and mounts live in namespaces that end with this script.
set -euo pipefail
suite=bookworm

if [ "${1-}" != --inside ]; then # outside the namespaces: the folder, before and after
    [ "$(id -u)" = 0 ] || { echo "make bare needs root (chroot, mounts)" >&2; exit 1; }
    tools/deps.sh bare
    work=$(mktemp -d "${AKIN_BARE_DIR:-/var/tmp}/akin-bare.XXXXXX")
    trap 'rm -rf --one-file-system "$work"' EXIT
    unshare --mount --pid --fork --kill-child "$0" --inside "$work" </dev/null &
    trap 'kill -KILL $!; wait; exit 130' INT TERM
    status=0
    wait $! || status=$?
    if [ $status = 0 ]; then echo "PASS make bare"; else echo "FAIL make bare"; fi
    exit $status
fi

work=$2
system=$work/system
log=$work/run.log
port=8470
pass() { echo "PASS $* ($SECONDS s)"; }
fail() { echo "FAIL $*"; exit 1; }
busy() { (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; }
inside() { # COMMAND: in the system's project folder, in nothing but the system's own environment
    env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
        chroot "$system" /bin/sh -c "cd /srv/akin && $1"
}

# --- the system ------------------------------------------------------------------------------------

mount -t proc proc /proc
# Where this machine takes Debian from: lines "URI CODENAME".
targets() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Origin: Debian' 'Component: main'
}
archives=$(targets)
if [ -z "$archives" ]; then apt-get update -qq && archives=$(targets); fi
mirror=$(awk '$2 !~ /security/ { print $1; exit }' <<<"$archives")
[ -n "$mirror" ] || fail "apt knows no archive of Debian to take the system from"
eval "$(apt-config shell proxy Acquire::http::Proxy)"
if [ -n "${proxy-}" ] && [ "$proxy" != DIRECT ]; then export http_proxy=${http_proxy:-$proxy}; fi

echo "making a minimal $suite"
debootstrap --variant=minbase --include=make,git,ca-certificates "$suite" "$system" "$mirror" >"$work/debootstrap.log" 2>&1 ||
    { tail -n 20 "$work/debootstrap.log"; fail "debootstrap"; }
awk -v suite="$suite" '$2 == suite || index($2, suite "-") == 1 { print "deb", $1, $2, "main"; some = 1 }
    END { if (!some) exit 1 }' <<<"$archives" >"$system/etc/apt/sources.list" ||
    echo "deb $mirror $suite main" >"$system/etc/apt/sources.list"
cp -a /etc/apt/trusted.gpg.d/. "$system/etc/apt/trusted.gpg.d/" 2>/dev/null || true
apt-config dump | grep -E '^Acquire::(https?|ftp|Retries|ForceIPv4)' >"$system/etc/apt/apt.conf.d/90host" || true
cp -L /etc/resolv.conf /etc/hosts "$system/etc/"
mount -t proc proc "$system/proc"
mount --rbind /dev "$system/dev"
mount --bind /sys "$system/sys"
pass "a minimal $suite with $(chroot "$system" dpkg-query -f '.' -W | wc -c) packages"

# --- the project -----------------------------------------------------------------------------------

if [ -n "${AKIN_BARE_WORKTREE-}" ]; then
    mkdir "$system/srv/akin"
    git ls-files -z --cached --others --exclude-standard | tar cf - --ignore-failed-read --null -T - |
        tar xf - -C "$system/srv/akin"
    pass "the working tree is copied"
else
    [ -z "$(git status --porcelain)" ] || echo "note: the clone lacks what is not committed here"
    git clone -q --bare --no-hardlinks . "$system/srv/akin.git"
    chroot "$system" git clone -q /srv/akin.git /srv/akin
    pass "the project is cloned"
fi

# --- make run --------------------------------------------------------------------------------------

run="make run"
if busy; then
    for port in $(seq 18470 18499) 0; do busy || break; done
    [ "$port" != 0 ] || fail "no free port"
    run="make run ARGS=--listen=127.0.0.1:$port"
    echo "note: port 8470 is taken on this machine; this is '$run'"
fi
ready() {
    local line=
    (
        exec 3<>"/dev/tcp/127.0.0.1/$port" &&
            printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3 &&
            IFS= read -r -t 10 line <&3 && [[ $line == *' 200 '* ]]
    ) 2>/dev/null
}
export system http_proxy="${http_proxy-}" https_proxy="${https_proxy-}"
export -f inside
setsid bash -c "inside '$run'" >"$log" 2>&1 &
server=$!
until grep -q 'listening on' "$log" && ready; do # its own log: another server may have come to the port
    kill -0 $server 2>/dev/null || { tail -n 40 "$log"; fail "$run: it ended"; }
    [ $SECONDS -lt $((${AKIN_BARE_MINUTES:-40} * 60)) ] || { tail -n 40 "$log"; fail "$run: not ready in time"; }
    sleep 1
done
pass "$run serves"

inside "mkdir -p /srv/pictures && cp tests/fixtures/*.jpg /srv/pictures/ &&
    ./akin import /srv/pictures --server http://127.0.0.1:$port" || fail "akin import"
for picture in rings waves; do
    answer=$(inside "./akin search /srv/pictures/$picture.jpg --limit 1 --json --server http://127.0.0.1:$port") ||
        fail "akin search"
    grep -q "\"id\": *\"$picture.jpg\"" <<<"$answer" || { echo "$answer"; fail "$picture.jpg is not found again"; }
done
pass "pictures are found again"

kill -TERM -- -$server
wait $server || true
grep -q 'stopping' "$log" || { tail -n 20 "$log"; fail "the server does not end on SIGTERM"; }

# --- make test -------------------------------------------------------------------------------------

inside "make test" 2>&1 | tee "$work/test.log" || fail "make test"
grep -qE '^[1-9][0-9]* passed, 0 failed$' "$work/test.log" || fail "make test: no count"
pass "make test"
