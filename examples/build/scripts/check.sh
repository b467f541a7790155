#!/bin/sh
# The program must greet whom it is told to greet.
set -eu
said=$(./greeting Olympus)
[ "$said" = "hello Olympus" ] || { echo "it said: $said" >&2; exit 1; }
echo "ok"
