# shellcheck shell=bash
# Sourced by .ci/run: a headless browser, in which the report page is tested, on a machine that has none.

install_chromium() {
  if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then return; fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
}
