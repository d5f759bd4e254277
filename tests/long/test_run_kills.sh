#!/bin/bash
# kill -9 at 200 moments of training runs; the ordinary tests take a few. Prints where they fell.
set -eu
cd "$(dirname "$0")/../.."
AKIN_TEST_LONG=1 /usr/bin/python3 tests/live/test_kills.py
