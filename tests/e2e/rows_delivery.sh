# Who gets the mail: RFC 8461 4 and 5, with `mtasts check`, and with the sender whose mail Postfix
# takes (or not: its log says).
# shellcheck shell=bash
#
# Not to be seen from outside, and tested elsewhere: A6 DANE, A8 REQUIRETLS and A12 (unit tests: these
# programs have neither), A11 but for --override, A7 but for the default (TLS if offered).

# ---- the sender ----

# sender_start [OPTION...]: it reads what is written to descriptor 7
sender_start() {
    [ -p "$dir/commands" ] || mkfifo "$dir/commands"
    exec 7<>"$dir/commands"
    later 0
    local asan=""
    ldd "$sender" | grep -q libasan && asan=$(ldd "$sender" | sed -n 's/.*=> \(.*libasan[^ ]*\).*/\1/p')
    sender_now=(env)
    [ -z "$faketime" ] || sender_now=(env "LD_PRELOAD=$asan $faketime" "FAKETIME_TIMESTAMP_FILE=$dir/now"
        FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1)
    "${sender_now[@]}" "$sender" --dns "${dns_at:-$unbound_at}:$dns_port" --ca "$dir/ca.pem" \
        --https-port "$https_port" --smtp-port "$smtp_port" --allow-private --timeout 3 "$@" \
        <"$dir/commands" >>"$dir/sender.log" 2>&1 7>&- &
    pid_of[sender]=$!
    echo $! >>"$dir/pids"
    wait_until 5 running sender
}

# sender_end: it ends by itself, without a word from the sanitizers
sender_end() {
    tell quit
    wait_until 10 not_running sender || {
        bad 'the sender does not end'
        kill -KILL "${pid_of[sender]}"
    }
    wait "${pid_of[sender]}"
    same "the sender's exit code" $? 0
    ! grep -qE 'Sanitizer|runtime error' "$dir/sender.log" ||
        bad "$(grep -m 5 -E 'ERROR|runtime error|#[0-4]' "$dir/sender.log")"
    unset 'pid_of[sender]'
    exec 7>&-
}

sender_kill() {
    stop sender KILL
}

# later SECONDS: what the sender's clock is ahead
later() {
    echo "+$1" >"$dir/now.new"
    mv "$dir/now.new" "$dir/now"
}

tell() {
    echo "$*" >&7
}

# since: what it has said since the last told
since() {
    tail -n "+$((mark + 1))" "$dir/sender.log"
}

said() {
    since | grep -qE -e "$1"
}

# outcomes REGEX N: within a minute it has said so many lines like this in all
outcomes() {
    wait_until 60 eval "[ \$(grep -cE '$1' '$dir/sender.log') -ge $2 ]" ||
        bad "not $2 but $(grep -cE "$1" "$dir/sender.log") lines like $1"
}

# told COMMAND REGEX [SECONDS]: tell it, and wait for a line like this
told() {
    mark=$(wc -l <"$dir/sender.log")
    tell "$1"
    wait_until "${3:-15}" said "$2" || bad "after \"$1\" no \"$2\", but: $(since | tail -n 5)"
}

# mail DOMAIN REGEX: send one; the outcome must be like this
mail() {
    told "send $1" "^$1 (delivered|deferred|failed|bounced) "
    said "^$1 $2" || bad "mail to $1: not \"$2\", but: $(since)"
}

# expires DOMAIN: when the sender's policy does, in Unix seconds
expires() {
    told "show $1" "^show $1 .*expires="
    since | sed -n "s/^show $1 .*expires=\([0-9]*\).*/\1/p"
}

# mail_is DOMAIN OUTCOME: likewise, but only says whether it is so
mail_is() {
    told "send $1" "^$1 (delivered|deferred|failed|bounced) "
    said "^$1 $2"
}

# ---- judged by check ----

# mx_row TITLE MODE MX EXPRESSION: a domain with only this MX, which is `it`
mx_row() {
    row "$1" && needs_postfix || return 0
    domain "a-$2-${3%%.*}.test" "$2" "$3"
    check "a-$2-${3%%.*}.test" --crl "$dir/crl.pem"
    expect "$4"
}

for fault in none=starttls-not-supported expired=certificate-expired self=certificate-not-trusted \
    name=certificate-host-mismatch cn=certificate-host-mismatch revoked=certificate-not-trusted; do
    mx=${fault%%=*}.mail.test
    mx_row "A1 A10 enforce: not to $mx" enforce "$mx" \
        "code == 2 and it['verdict'] == 'refused' and it['result'] == '${fault#*=}'"
    mx_row "A2 A10 testing: to $mx all the same, and told" testing "$mx" \
        "code == 1 and it['verdict'] == 'deliver' and it['result'] == '${fault#*=}'"
done
mx_row 'A1 enforce: to a good one' enforce mx1.mail.test 'code == 0 and it["verdict"] == "deliver"'
mx_row 'A1 C2 enforce: a wildcard in the certificate' enforce wild.mail.test \
    'code == 0 and it["verdict"] == "deliver"'
mx_row 'A3 mode none: to any' none expired.mail.test 'code == 1 and it["verdict"] == "deliver"'
mx_row 'A3 mode none: without TLS' none none.mail.test 'code == 1 and it["verdict"] == "deliver"'
mx_row 'A1 nobody listens' enforce down.mail.test 'it["verdict"] == "unreachable"'

row 'A4 MX hosts are judged in their order, also those that the policy does not list' &&
    needs_postfix && {
    domain a4.test enforce mx1.mail.test
    records a4.test 1 evil.attacker.test expired.mail.test mx1.mail.test mx2.mail.test
    check a4.test
    expect 'code == 1 and order == ["evil.attacker.test", "expired.mail.test", "mx1.mail.test", "mx2.mail.test"]'
    expect '[mx[h]["verdict"] for h in order] == ["refused", "refused", "deliver", "refused"]'
}

row 'M2 M4 a wildcard pattern; the name compared is the MX record'\''s own, not its alias' &&
    needs_postfix && {
    domain m4.test enforce '*.mail.test'
    zone m4.test "mta-sts A $nginx_at" '_mta-sts TXT "v=STSv1; id=1"' '@ MX 10 mx1.mail.test.' \
        '@ MX 20 alias' 'alias CNAME mx1.mail.test.'
    dns_load
    check m4.test
    expect 'mx["mx1.mail.test"]["verdict"] == "deliver" and mx["alias.m4.test"]["verdict"] == "refused"'
}

row 'M4 no MX record: the domain itself, and MTA-STS applies to it' && needs_postfix && {
    domain m4self.test enforce m4self.test
    zone m4self.test "mta-sts A $nginx_at" '_mta-sts TXT "v=STSv1; id=1"' "@ A ${mx_at[mx1.mail.test]}"
    dns_load
    check m4self.test
    expect 'code == 2 and mx["m4self.test"]["reason"] == "name-mismatch"'
}

row 'A3 no policy: delivered, with a word about it; the null MX' && needs_postfix && {
    records a3.test - none.mail.test
    check a3.test
    expect 'code == 1 and mx["none.mail.test"]["verdict"] == "deliver"'
    zone a3.test '@ MX 0 .'
    dns_load
    check a3.test
    expect 'code == 2 and j["mx_null"]'
}

row 'H4 H7 an MX host that says nothing; one at an address that is not public' && needs_postfix && {
    domain h7.test enforce mx1.mail.test
    check h7.test --dir "$store"
    expect 'code == 0 and mx["mx1.mail.test"]["verdict"] == "deliver"'
    kill -STOP "${pid_of[postfix]}" $(pgrep -P "${pid_of[postfix]}")
    before=$(date +%s%N)
    patience=1 check h7.test --dir "$store"
    took=$((($(date +%s%N) - before) / 1000000))
    kill -CONT "${pid_of[postfix]}" $(pgrep -P "${pid_of[postfix]}")
    expect 'mode == "enforce" and mx["mx1.mail.test"]["verdict"] != "deliver"'
    [ $took -lt 4000 ] || bad "it took $took ms"
    before=$(grep -c ': connect from' "$dir/postfix/log")
    public_only=1 check h7.test --dir "$store"
    expect 'mode == "enforce" and mx["mx1.mail.test"]["verdict"] == "unreachable"'
    same 'connections to Postfix' "$(grep -c ': connect from' "$dir/postfix/log")" "$before"
}

row 'D7 a resolver that says nothing, with a policy cached, for no longer than --timeout' && {
    domain h7.test enforce mx1.mail.test
    check h7.test --no-smtp --dir "$store"
    kill -STOP "${pid_of[unbound]}"
    before=$(date +%s%N)
    patience=1 check h7.test --dir "$store"
    took=$((($(date +%s%N) - before) / 1000000))
    kill -CONT "${pid_of[unbound]}"
    expect 'learned == "temporary" and mode == "enforce" and verdict != "protected"'
    [ $took -lt 5000 ] || bad "it took $took ms"
}

row 'A1 a domain whose MX records have good DNSSEC signatures, and whose MX is forged' &&
    needs_postfix && {
    certificate mta-sts.d.signed.test good mta-sts.d.signed.test
    policy d.signed.test enforce 86400 mx1.mail.test
    check d.signed.test
    expect 'code == 0 and mx["mx1.mail.test"]["verdict"] == "deliver"'
    forge 's/mx1.mail.test/evil.attacker.test/'
    check d.signed.test
    expect 'code != 0 and order == []'
    forge_end
}

# ---- the sender, and Postfix as the receiver ----

[ -n "$no_postfix" ] || sender_start --dir "$dir/mail" --check-after 1

row 'A1 sender: verified TLS, and Postfix has taken the mail' && needs_postfix && {
    domain s1.test enforce mx1.mail.test
    mail s1.test 'delivered mx1.mail.test tls=TLSv1.[23] verified policy=enforce'
    want 'taken by mx1' eval '[ $(taken mx1.mail.test postmaster@s1.test) = 1 ]'
    want 'and passed on' wait_until 5 grep -q 'discard.*to=<postmaster@s1.test>.*status=sent' "$dir/postfix/log"
}

row 'A1 A4 sender: past three bad MX hosts to the good one; the bad ones get nothing' &&
    needs_postfix && {
    domain s2.test enforce mx2.mail.test expired.mail.test none.mail.test
    records s2.test 1 evil.attacker.test expired.mail.test none.mail.test mx2.mail.test
    mail s2.test 'delivered mx2.mail.test .* verified'
    for mx in evil.attacker.test expired.mail.test none.mail.test; do
        same "mail at $mx" "$(taken $mx postmaster@s2.test)" 0
    done
}

row 'A1 A5 sender: only bad MX hosts: deferred, nothing anywhere, a newer policy was looked for' &&
    needs_postfix && {
    for kind in none expired self name cn; do
        domain "s3$kind.test" enforce $kind.mail.test
        mail "s3$kind.test" 'deferred '
        same "mail at $kind" "$(taken "$kind.mail.test" "postmaster@s3$kind.test")" 0
    done
    # the policy has changed meanwhile: it is found before the mail fails
    policy s3cn.test enforce 604800 mx1.mail.test
    records s3cn.test 2 mx1.mail.test
    mail s3cn.test 'delivered mx1.mail.test '
}

row 'A2 A3 sender: testing, none and no policy: delivered to any, in the clear too' &&
    needs_postfix && {
    for mode in testing none; do
        domain s4$mode.test $mode none.mail.test
        mail s4$mode.test 'delivered none.mail.test tls=none'
        domain s4x$mode.test $mode expired.mail.test
        mail s4x$mode.test 'delivered expired.mail.test tls=TLS'
    done
    records s4.test - none.mail.test
    mail s4.test 'delivered none.mail.test tls=none'
}

row 'D2 sender: an unchanged id means no fetch and no longer life; a changed one is a fetch' &&
    needs_postfix && needs_faketime && {
    domain d2s.test enforce mx1.mail.test
    mail d2s.test 'delivered'
    first=$(expires d2s.test)
    later 400
    mail d2s.test 'delivered'
    later 800
    mail d2s.test 'delivered'
    fetched d2s.test 1
    same 'expires' "$(expires d2s.test)" "$first"
    policy d2s.test enforce 604800 mx2.mail.test
    records d2s.test 2 mx2.mail.test
    later 1200
    told 'send d2s.test' '^d2s.test (delivered|deferred)'
    want 'fetched' wait_until 5 eval '[ $(fetches d2s.test) = 2 ]'
    mail d2s.test 'delivered mx2.mail.test'
}

row 'D6 sender: thirty mails at once, one look-up' && needs_postfix && {
    domain d6.test enforce mx1.mail.test
    for i in {1..30}; do
        tell 'send d6.test'
    done
    outcomes '^d6.test delivered' 30
    fetched d6.test 1
    same 'mails taken' "$(taken mx1.mail.test postmaster@d6.test)" 30
}

row 'D7 sender: DNS that failed is asked again at once' && needs_postfix && {
    domain d7s.test enforce mx1.mail.test
    zone d7s.test "mta-sts A $nginx_at" '_mta-sts CNAME x.dead.' '@ MX 10 mx1.mail.test.'
    dns_load
    mail d7s.test '(delivered mx1.mail.test .* policy=none|deferred)'
    records d7s.test 1 mx1.mail.test
    mail d7s.test 'delivered mx1.mail.test .* policy=enforce'
}

row 'D8 sender: no policy is remembered no longer than the TTL' &&
    needs_postfix && needs_faketime && {
    records d8.test - mx1.mail.test
    mail d8.test 'delivered mx1.mail.test .* policy=none'
    domain d8.test enforce mx1.mail.test
    later 3000
    mail d8.test 'delivered mx1.mail.test .* policy=enforce'
}

row 'D5 D14 sender: fetched again within about a day, the id being the same; not within an hour' &&
    needs_postfix && needs_faketime && {
    later 5000
    domain d5.test enforce mx1.mail.test
    mail d5.test 'delivered'
    later 8600
    mail d5.test 'delivered'
    fetched d5.test 1 'fetches after an hour'
    later 120000
    mail d5.test 'delivered'
    want 'a second fetch' wait_until 5 eval '[ $(fetches d5.test) = 2 ]'
}

row 'D5 D16 sender: a refresh that hangs delays no mail; that it fails is told, but not for none' &&
    needs_postfix && needs_faketime && {
    domain d16.test enforce mx1.mail.test
    domain d16none.test none mx1.mail.test
    mail d16.test 'delivered'
    mail d16none.test 'delivered'
    # shellcheck disable=SC2046 # words are meant to split
    kill -STOP $(nginx_workers)
    later 240000
    start=$(date +%s%N)
    mail d16.test 'delivered'
    mail d16none.test 'delivered'
    took=$((($(date +%s%N) - start) / 1000000))
    [ $took -lt 2000 ] || bad "it took $took ms"
    wait_until 10 said 'refresh-failed.*d16.test|d16.test.*refresh-failed' || bad 'refresh-failed is not told'
    ! said 'd16none.test.*refresh-failed|refresh-failed.*d16none.test' || bad 'told for mode none'
    # shellcheck disable=SC2046
    kill -CONT $(nginx_workers)
}

row 'D1 D4 sender: enforce, then none, then the attacker'\''s MX is nobody'\''s business' &&
    needs_postfix && needs_faketime && {
    domain d4s.test enforce mx1.mail.test
    mail d4s.test 'delivered mx1.mail.test .* policy=enforce'
    records d4s.test 1 none.mail.test
    mail d4s.test 'deferred'
    policy d4s.test none 604800
    records d4s.test 2 none.mail.test
    later 250000
    told 'send d4s.test' '^d4s.test (delivered|deferred)'
    mail d4s.test 'delivered none.mail.test'
}

row 'D1 sender killed and started again: the policy is still there while DNS and HTTPS are dead' &&
    needs_postfix && {
    domain d1s.test enforce mx1.mail.test
    mail d1s.test 'delivered'
    sender_kill
    exec 7>&-
    stop nginx KILL
    zone d1s.test '@ MX 10 none.mail.test.' # no TXT, another MX
    dns_load
    sender_start --dir "$dir/mail" --check-after 1
    mail d1s.test 'deferred'
    zone d1s.test '@ MX 10 mx1.mail.test.'
    dns_load
    mail d1s.test 'delivered mx1.mail.test .* policy=enforce'
    nginx_start
}

row 'every server killed in the middle and started again: deferred at most, then delivered' &&
    needs_postfix && {
    domain kill.test enforce mx1.mail.test
    mail kill.test 'delivered'
    for victim in unbound knot nginx postfix; do
        for i in {1..10}; do
            tell 'send kill.test'
        done
        stop $victim KILL
        mail kill.test '(delivered mx1.mail.test|deferred) '
        case $victim in
        knot) dns_lives ;;
        unbound) unbound_start && wait_until 5 unbound_control status ;;
        nginx) nginx_start ;;
        postfix) postfix_gone && postfix_start ;;
        esac
        mail kill.test 'delivered mx1.mail.test .* verified'
    done
}

row 'the policy changes while mail flows: never to an MX that neither the old nor the new allows' &&
    needs_postfix && needs_faketime && {
    domain flow.test enforce mx1.mail.test
    mail flow.test 'delivered mx1.mail.test'
    for i in {1..12}; do
        new=mx$((i % 2 + 1)).mail.test
        policy flow.test enforce 604800 $new
        for n in {1..5}; do
            tell 'send flow.test'
        done
        records flow.test "flow$i" evil.attacker.test none.mail.test $new
        later $((260000 + i * 400))
        for n in {1..5}; do
            tell 'send flow.test'
        done
    done
    mail flow.test '(delivered|deferred)'
    wait_until 5 mail_is flow.test 'delivered mx1.mail.test' || bad 'the new policy is not taken'
    outcomes '^flow.test (delivered|deferred)' 123
    for mx in evil.attacker.test none.mail.test; do
        same "mail at $mx" "$(taken $mx postmaster@flow.test)" 0
    done
}

row 'D1 8 sender: DNS poisoned and HTTPS blocked: nothing goes to the attacker' &&
    needs_postfix && needs_faketime && {
    sender_end
    domain prey.test enforce mx1.mail.test
    dns_at=$dnsmasq_at sender_start --dir "$dir/mail" --check-after 1
    mail prey.test 'delivered mx1.mail.test'
    now=270000
    for forged in mx-host=prey.test,evil.attacker.test,1 \
        "mx-host=prey.test,evil.attacker.test,1 address=/_mta-sts.prey.test/" \
        "mx-host=prey.test,evil.attacker.test,1 txt-record=_mta-sts.prey.test,v=spf1" \
        "address=/mx1.mail.test/${mx_at[evil.attacker.test]}" \
        "address=/mx1.mail.test/${mx_at[none.mail.test]}"; do
        # shellcheck disable=SC2086 # one word a line
        dnsmasq_start "address=/mta-sts.prey.test/$forger_at" $forged
        now=$((now + 1000))
        later $now
        mail prey.test 'deferred'
        mail prey.test 'deferred'
    done
    same 'mail at the attacker' "$(taken evil.attacker.test postmaster@prey.test)" 0
    same 'mail in the clear' "$(taken none.mail.test postmaster@prey.test)" 0
    dnsmasq_start
    mail prey.test 'delivered mx1.mail.test .* verified'
    sender_end
    sender_start --dir "$dir/mail" --check-after 1
}

row 'sender: show, forget, refresh; a word it does not know, and a line without end' &&
    needs_postfix && {
    domain words.test enforce mx1.mail.test
    told 'show words.test' 'words.test.*enforce'
    fetched words.test 1
    want stored [ -s "$dir/mail/words.test" ]
    tell 'forget words.test'
    told 'show words.test' 'words.test.*enforce'
    fetched words.test 2 'fetches after forget'
    tell 'nonsense'
    tell 'send'
    tell "send $(printf '\033[31m\377')"
    tell "send $(head -c 20000 /dev/zero | tr '\0' x)"
    mail words.test 'delivered mx1.mail.test '
    ! LC_ALL=C grep -q '[^[:print:]]' "$dir/sender.log" || bad 'raw octets in the output'
}

row 'D1 D9 sender: max_age later the policy is no more; the clock goes back: no life beyond max_age' &&
    needs_postfix && needs_faketime && {
    domain d1e.test enforce mx1.mail.test
    domain d9s.test enforce mx1.mail.test
    later 300000
    mail d1e.test 'delivered .* policy=enforce'
    zone d1e.test '@ MX 10 none.mail.test.'
    dns_load
    later 904700
    mail d1e.test 'deferred '
    later 904900
    mail d1e.test 'delivered none.mail.test .* policy=none'
    mail d9s.test 'delivered .* policy=enforce'
    later 0
    mail d9s.test 'delivered .* policy=enforce'
    [ "$(expires d9s.test)" -le $(($(date +%s) + 604800)) ] || bad "it expires at $(expires d9s.test), now is $(date +%s)"
    later 910000
    mail d9s.test 'delivered .* policy=enforce' # fetched anew
}

row 'a few hundred mails: no descriptor is left open' && needs_postfix && {
    domain leak.test enforce mx1.mail.test
    for i in {1..8}; do
        records "leak$i.test" - none.mail.test
    done
    mail leak.test delivered
    mail leak1.test delivered
    before=$(find "/proc/${pid_of[sender]}/fd" -type l | wc -l)
    for i in {1..300}; do
        case $((i % 3)) in
        0) tell "send leak$((i % 8 + 1)).test" ;;
        1) tell 'send leak.test' ;;
        2) tell 'send nobody.test' ;;
        esac
    done
    outcomes '^(leak[0-9]?|nobody).test (delivered|deferred|failed)' 302
    wait_until 5 eval '[ $(find "/proc/${pid_of[sender]}/fd" -type l | wc -l) -le '"$before"' ]' ||
        bad "descriptors: $before, then $(find "/proc/${pid_of[sender]}/fd" -type l | wc -l)"
}

row 'the sender ends in good order, and no attacker has ever had a mail' && needs_postfix && {
    sender_end
    same 'mail at the attacker' "$(taken evil.attacker.test '.*')" 0
}
row ''
stop sender
