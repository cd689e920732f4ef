#!/usr/bin/env bash
# Makes an environment with others' judges of what we publish (locks/judges.in): .ci/judges.sh VENV
# Tests find it by STILTS_ARTIFACT_TEST_JUDGES=VENV.
set -euo pipefail
# shellcheck source=locks/pip.sh
source "$(dirname "$0")/../locks/pip.sh"

make_tools "$(find_python)" "$1" "$locks/../wheelhouse"
install_lock "$1" "$1" "$locks/judges.txt" "$locks/../wheelhouse"
