#!/bin/sh
# FAISS with its C API: the system's where it has one (Debian 13), else Debian's source package
# built once, with AVX2, into a cache folder named by version and flags.
#   tools/faiss.sh           build when missing
#   tools/faiss.sh --where   print the prefix (include/, lib/) without building
#   tools/faiss.sh --make    print what the Makefile includes: where it is, and that it must be there
set -eu
flags="-mavx2 -mfma -mf16c -mpopcnt"
version=1.7.3
key=$(printf '%s' "$version $flags static c_api openblas" | sha256sum | cut -c1-12)
cache=${AKIN_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/akin}
prefix=$cache/faiss-$version-$key
library=$prefix/lib/libfaiss_c.a
for system in /usr/lib/*/libfaiss_c.a /usr/lib/libfaiss_c.a; do
    if [ -f "$system" ]; then prefix=/usr library=$system; fi
done
case ${1-} in
--where) echo "$prefix" && exit ;;
--make) printf 'FAISS := %s\nbuild/deps.mk: %s\n%s:\n' "$prefix" "$library" "$library" && exit ;;
esac
if [ -f "$library" ]; then exit 0; fi

echo "building FAISS $version into $prefix (once, about two minutes)"
mkdir -p "$cache"
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
# Debian's source index in a folder of our own: the machine's apt configuration is not touched.
mkdir -p lists/partial parts cache/archives/partial
sources() {
    apt-get indextargets --format 'deb-src $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' \
        'Component: main' | sort -u | grep -v security >parts/src.list
}
if ! sources; then # no package lists here yet
    apt-get update -qq && sources || { echo "apt knows no Debian archive to take FAISS's source from" >&2; exit 1; }
fi
apt="-oDir::State::Lists=$work/lists -oDir::Cache=$work/cache -oDir::Etc::sourcelist=/dev/null"
apt="$apt -oDir::Etc::sourceparts=$work/parts -oAPT::Sandbox::User=root -oAcquire::Retries=3"
# shellcheck disable=SC2086
apt-get $apt update -qq && apt-get $apt source -qq --download-only faiss
dpkg-source --no-check -x faiss_*.dsc src >/dev/null # apt has checked it
cmake -S src -B b -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$work/out" \
    -DCMAKE_INSTALL_LIBDIR=lib -DFAISS_ENABLE_C_API=ON -DFAISS_ENABLE_GPU=OFF -DFAISS_ENABLE_PYTHON=OFF \
    -DFAISS_OPT_LEVEL=generic -DBUILD_TESTING=OFF -DBUILD_SHARED_LIBS=OFF -DBLA_VENDOR=OpenBLAS \
    -DCMAKE_CXX_FLAGS="$flags" >cmake.log 2>&1 || { tail -20 cmake.log; exit 1; }
ninja -C b faiss faiss_c >ninja.log 2>&1 || { tail -20 ninja.log; exit 1; }
cmake --install b >/dev/null && cp b/c_api/libfaiss_c.a out/lib/
mkdir -p out/include/faiss/c_api && cp src/c_api/*.h out/include/faiss/c_api/
rm -rf "$prefix" && mv out "$prefix"
