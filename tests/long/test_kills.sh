#!/bin/bash
# kill -9 at 200 moments of changes from one model to another; the ordinary tests take a few.
set -eu
cd "$(dirname "$0")/../.."
AKIN_TEST_LONG=1 TEST_TIMEOUT=3600 make --no-print-directory test T=index/test_generations_crash
