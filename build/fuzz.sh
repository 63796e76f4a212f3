#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the project for TIME, one after the other.
set -eu

for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./client/... ./preload/...); do
    for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
        echo "fuzzing $package $target"
        # Minimising what is merely interesting takes longer than finding it.
        go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 1x "$package"
    done
done
