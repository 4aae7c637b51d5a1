#!/bin/sh
# Builds the core with the address and undefined-behaviour sanitizers and runs its tests.
#     native/tests/run_sanitizers.sh [build folder]
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$(mktemp -d)}
cmake -S "$source" -B "$build" -DUNROLLED_PYTHON=OFF -DUNROLLED_TESTS=ON -DUNROLLED_SANITIZE=ON -DCMAKE_BUILD_TYPE=Debug
cmake --build "$build" --parallel 2
ctest --test-dir "$build" --output-on-failure
