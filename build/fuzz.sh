#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the project for TIME, one after the other: each has all processors.
set -eu

# Their names are in the source: `go test -list` would link every package's tests to ask for them.
grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' client preload | sort | while IFS=: read -r file func; do
    package=./$(dirname "$file") target=${func#func }
    echo "fuzzing $package $target"
    # Minimising what is merely interesting takes longer than finding it.
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 1x "$package" </dev/null
done
