#!/bin/sh
# Sees to it that a Chromium is there for the tests of the report: quick and silent when it is,
# installed by apt when it is not and we may, a clear message otherwise. `CHROMIUM` names another browser.
set -eu

for name in "${CHROMIUM:-chromium}" chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests of the report need Chromium: sudo apt-get install chromium, or set CHROMIUM to its path." >&2
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
