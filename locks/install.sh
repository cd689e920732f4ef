#!/usr/bin/env bash
# Makes a virtual environment that holds exactly one lock: locks/install.sh VENV LOCK [TOOLS [FOLDER]]
#   VENV    made anew; without pip when TOOLS is another environment
#   LOCK    cpu, gpu or dev
#   TOOLS   where pip and what builds wheels go; VENV itself unless told
#   FOLDER  wheels used before any index, wheelhouse/ unless told
set -euo pipefail
# shellcheck source=locks/pip.sh
source "$(dirname "$0")/pip.sh"

venv=$1 lock=$locks/$2.txt tools=${3:-$1} folder=${4:-$locks/../wheelhouse}
python=$(find_python)

make_tools "$python" "$tools" "$folder"
if [ "$tools" != "$venv" ]; then
  "$python" -I -m venv --clear --without-pip "$venv"
fi
install_lock "$tools" "$venv" "$lock" "$folder"
"$tools/bin/python" -I -m pip --python "$venv/bin/python" check
# Bytecode is compiled here, for good: a read-only container cannot keep what it compiles, nor can Python where
# PYTHONDONTWRITEBYTECODE is set, and each start would do it again (10 s instead of 4 for torch and transformers).
# Some packages carry files for newer Pythons, which do not compile and are not imported.
"$venv/bin/python" -I -m compileall -q -j 0 "$venv/lib" >/dev/null || true
