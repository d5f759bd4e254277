#!/bin/bash
# Every network from the configuration, in every mode and precision: gradients against the
# definition, and a small set memorised. The ordinary tests take a few of them.
set -eu
cd "$(dirname "$0")/../.."
AKIN_TEST_LONG=1 TEST_TIMEOUT=3600 make --no-print-directory test T=nn/
