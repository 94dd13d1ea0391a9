# Running checks side by side, a line each, for bash scripts that source this:
#
#   check NAME COMMAND...   "ok NAME: output" or "FAIL NAME" and the output below
#   missing NAME            "skip NAME: not installed"; a failure if CI is set
#   line TEXT...            a line of one's own among them
#   finish                  print them all in order, and the count; exit 1 if one failed
#
# A command runs in an empty directory, with set -e; `fail` ends it. $tmp goes away at the end.

tmp=$(mktemp -d)
trap 'stop; rm -rf "$tmp"' EXIT
trap 'exit 130' HUP INT TERM
mkdir "$tmp/out"
count=0

# What still runs, when the script is interrupted.
stop() {
    local job
    for job in $(jobs -rp); do
        kill -- "-$job" 2>/dev/null || :
    done
    wait
}

check() {
    local name=$1 out status
    shift
    count=$((count + 1))
    out=$tmp/out/$(printf %03d "$count")
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do
        wait -n || :
    done
    set -m # a process group of its own, for stop
    (
        set +m
        trap - EXIT HUP INT TERM
        set +e
        (
            set -e
            mkdir "$out.dir"
            cd "$out.dir"
            "$@"
        ) >"$out.log" 2>&1
        status=$?
        if [ "$status" -eq 0 ]; then
            echo "ok $name$(sed 's/^/: /' "$out.log")"
        else
            echo "FAIL $name"
            sed 's/^/    /' "$out.log"
        fi >"$out"
        rm -rf "$out.dir"
    ) &
    set +m
}

line() {
    count=$((count + 1))
    echo "$*" >"$tmp/out/$(printf %03d "$count")"
}

missing() {
    if [ -n "${CI:-}" ]; then
        line "FAIL $1: not installed"
    else
        line "skip $1: not installed"
    fi
}

fail() {
    echo "$*"
    exit 1
}

finish() {
    local ok skipped failed
    wait
    cat "$tmp"/out/[0-9][0-9][0-9] >"$tmp/all"
    cat "$tmp/all"
    ok=$(grep -c '^ok ' "$tmp/all" || :)
    skipped=$(grep -c '^skip ' "$tmp/all" || :)
    failed=$(grep -c '^FAIL ' "$tmp/all" || :)
    echo "$ok ok, $skipped skipped, $failed failed"
    [ "$failed" -eq 0 ] && [ $((ok + skipped)) -eq "$count" ]
}
