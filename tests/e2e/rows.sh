# What the rows are written with; sourced by tests/e2e/run.
# shellcheck shell=bash

# ---- rows ----

# row TITLE: begins a row and ends the one before it. Use: row '...' && { commands; }
# It fails if an expectation in it does.
row() {
    if [ -n "$title" ]; then
        if [ -n "$skip" ]; then
            echo "skip $title: $skip"
            skipped=$((skipped + 1))
        elif [ -n "$why" ]; then
            printf 'FAIL %s\n%s' "$title" "$why"
            failed=$((failed + 1))
        else
            echo "ok $title"
            passed=$((passed + 1))
        fi
    fi
    title=$1 why="" skip=""
    case $title in
    '') return 0 ;;
    *) [[ $title =~ $only ]] || {
        title=""
        return 1
    } ;;
    esac
}

# bad WHAT: this row has failed
bad() {
    [ ${#why} -gt 3000 ] || why="$why    $1"$'\n'
}

# want WHAT COMMAND...: it must succeed
want() {
    local what=$1
    shift
    "$@" || bad "not so: $what ($*)"
}

# same WHAT A B: they must be equal
same() {
    [ "$2" = "$3" ] || bad "$1: $2, expected $3"
}

# fetched DOMAIN N [WHEN]: so often was its policy asked for, by now
fetched() {
    wait_until 2 eval "[ \$(fetches '$1') -ge $2 ]" # nginx writes its log when it has answered
    same "fetches ${3:-}" "$(fetches "$1")" "$2"
}

# ---- what is published ----

# policy DOMAIN MODE MAX_AGE MX...: change the policy
policy() {
    local domain=$1 mode=$2 max_age=$3 mx text
    shift 3
    text="version: STSv1\nmode: $mode\nmax_age: $max_age\n"
    for mx in "$@"; do
        text="${text}mx: $mx\n"
    done
    policy_text "$domain" "$text"
}

# policy_text DOMAIN TEXT: the same, with any text, as for printf %b
policy_text() {
    local at=$dir/www/mta-sts.$1/.well-known
    mkdir -p "$at"
    printf %b "$2" >"$at/new"
    mv "$at/new" "$at/mta-sts.txt"
}

# records DOMAIN ID MX...: its DNS; ID -: no TXT record; the MX in order of preference
records() {
    local domain=$1 id=$2 mx preference=0 lines=("mta-sts A $nginx_at")
    shift 2
    [ "$id" = - ] || lines+=("_mta-sts TXT \"v=STSv1; id=$id;\"")
    for mx in "$@"; do
        preference=$((preference + 10))
        lines+=("@ MX $preference $mx.")
    done
    zone "$domain" "${lines[@]}"
    dns_load
}

# domain DOMAIN MODE MX...: all that it needs, id 1, max_age a week; the policy lists these MX
domain() {
    local domain=$1 mode=$2
    shift 2
    certificate "mta-sts.$domain" good "mta-sts.$domain"
    policy "$domain" "$mode" 604800 "$@"
    records "$domain" 1 "$@"
}

# ---- the program ----

dns() {
    echo "${dns_at:-$unbound_at}:$dns_port"
}

# Run it at another time: clock=+3600 program ...
faked() {
    local asan=""
    if [ -z "${clock:-}" ]; then
        timeout 60 "$@"
        return
    fi
    ldd "$1" | grep -q libasan && asan=$(ldd "$1" | sed -n 's/.*=> \(.*libasan[^ ]*\).*/\1/p')
    timeout 60 env "LD_PRELOAD=$asan $faketime" "FAKETIME=$clock" FAKETIME_DONT_FAKE_MONOTONIC=1 "$@"
}

# check DOMAIN [OPTION...]: what is said is in $out and $err, the exit code in $code
check() {
    program check --json "$@"
}

# program COMMAND...: mtasts with the options about the network
program() {
    local command=$1 options=()
    shift
    case $command in
    check | refresh)
        options=(--dns "$(dns)" --ca "${ca:-$dir/ca.pem}" --https-port "$https_port" --timeout
            "${patience:-5}")
        [ -n "${public_only:-}" ] || options+=(--allow-private)
        [ "$command" = refresh ] || options+=(--smtp-port "$smtp_port")
        ;;
    esac
    faked "$mtasts" "$command" "${options[@]}" "$@" >"$dir/out" 2>"$dir/err"
    code=$?
    [ $code -lt 128 ] && [ $code != 124 ] && ! grep -qE 'Sanitizer|runtime error' "$dir/err" ||
        bad "the program broke (exit code $code): $(grep -E -m 3 'ERROR|runtime error|#[0-4]' "$dir/err")"
    ! LC_ALL=C grep -q '[^[:print:]]' "$dir/out" || bad "raw octets in the output"
}

# expect EXPRESSION: it must hold, in Python; j is the (first) line of JSON, code the exit code, mx
# a dict of what was found at each MX by its name
expect() {
    /usr/bin/python3 -S "$here/expect.py" "$dir/out" "$code" "$1" 2>"$dir/expect" && return
    bad "not so: $1"
    bad "exit code $code; $(tail -n 1 "$dir/expect"); $(head -q -c 1500 "$dir/out" "$dir/err" | tr '\n' ' ')"
}

# ---- what there is to run against ----

start_all() {
    root_user="" no_postfix=$(postfix_missing) faketime=""
    [ "$(id -u)" != 0 ] || root_user="user root;"
    for file in /usr/lib/*/faketime/libfaketime.so.1; do
        [ ! -e "$file" ] || faketime=$file
    done
    knot_port=$(free_port $knot_at $forger_at) dns_port=$(free_port $unbound_at $dnsmasq_at)
    https_port=$(free_port $nginx_at) smtp_port=$(free_port 127.0.0.{1,{11..22}})
    ca_init
    mail_zone
    if [ -z "$no_postfix" ]; then
        postfix_config
        mail_hosts
        postfix_start || return 1
    fi
    dns_start && nginx_start
}

# The MX hosts that all domains share: KIND.mail.test
mail_hosts() {
    mx mx1.mail.test 127.0.0.11 good
    mx mx2.mail.test 127.0.0.12 good
    mx none.mail.test 127.0.0.13 none
    mx expired.mail.test 127.0.0.14 expired
    mx self.mail.test 127.0.0.15 self
    mx name.mail.test 127.0.0.16 good mx1.mail.test
    mx wild.mail.test 127.0.0.17 good '*.mail.test'
    mx cn.mail.test 127.0.0.18 cn-only
    mx revoked.mail.test 127.0.0.19 revoked
    mx evil.attacker.test 127.0.0.20 good
    crl
}

mail_zone() {
    mkdir -p "$dir/zones/test"
    cat >"$dir/zones/test/mail.test" <<END
\$ORIGIN mail.test.
mx1 A 127.0.0.11
mx2 A 127.0.0.12
none A 127.0.0.13
expired A 127.0.0.14
self A 127.0.0.15
name A 127.0.0.16
wild A 127.0.0.17
cn A 127.0.0.18
revoked A 127.0.0.19
down A 127.0.0.21
evil.attacker.test. A 127.0.0.20
END
}

# needs_postfix, needs_faketime: or skip the row
needs_postfix() {
    [ -z "$no_postfix" ] || skip=$no_postfix
    [ -z "$no_postfix" ]
}

needs_faketime() {
    [ -n "$faketime" ] || skip="libfaketime is not installed"
    [ -n "$faketime" ]
}
