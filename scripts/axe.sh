#!/usr/bin/env bash
# axe-core, which looks for what keeps people from using a page. A tool of the tests (MPL-2.0), never shipped.
#   scripts/axe.sh    fetches it once from Maven Central, where its makers publish it, and prints its path
set -euo pipefail

version=4.11.1
sha256=7dbfabdfc6062936d79c873ddbb5f811a1219fca3928bd8cc9dd81f1e65f4720
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
file="${XDG_CACHE_HOME:-$HOME/.cache}/log-ingestor/axe-core-$version.min.js"

if [ ! -e "$file" ]; then
  "$here/install.sh" kafka >&2 # Maven
  mkdir -p "$(dirname "$file")"
  tmp=$(mktemp -d "$file.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  cd "$tmp" # Maven looks for a pom where it stands
  mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack \
    "-Dartifact=com.deque.html.axe-core:selenium:$version" -Dmdep.unpack.includes=axe.min.js "-DoutputDirectory=$tmp" >&2
  echo "$sha256  axe.min.js" | sha256sum -c --quiet >&2
  # Whole or not at all; who lost a race against another fetch brings the same.
  mv axe.min.js "$file"
fi
echo "$file"
