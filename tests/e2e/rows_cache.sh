# What is remembered: RFC 8461 3.3, 5.1, 10.2, seen through `mtasts check --dir` and the store.
# shellcheck shell=bash
#
# Not to be seen from outside, and tested elsewhere: D5's jitter, D9 inside one process, D10 (unit
# tests, tests/model).

store=$dir/store

# stored DOMAIN: what `mtasts show` says of it, for expect
stored() {
    program show --json --dir "$store" "$1"
}

# dns_dies, dns_lives: unbound gets no answer from knot, and does again
dns_dies() {
    stop knot KILL
    unbound_forget
}

dns_lives() {
    server knot knotd -c "$dir/knot/knot.conf"
    wait_until 10 knot_answers test $knot_at
    stop unbound # it would take its time to believe it
    unbound_start
    wait_until 5 unbound_control status
}

row 'D1 a cached policy is used while DNS and HTTPS are dead, and while the TXT record is gone' && {
    domain d1.test enforce mx1.mail.test
    check d1.test --no-smtp --dir "$store"
    expect 'learned == "policy" and fetched_now'
    records d1.test - mx1.mail.test
    check d1.test --no-smtp --dir "$store"
    expect 'mode == "enforce" and not fetched_now'
    dns_dies
    patience=2 check d1.test --no-smtp --dir "$store"
    expect 'learned == "temporary" and mode == "enforce"'
    dns_lives
    records d1.test 2 mx1.mail.test
    stop nginx KILL
    check d1.test --no-smtp --dir "$store"
    expect 'learned == "failed" and mode == "enforce" and tlsrpt == "sts-policy-fetch-error"'
    nginx_start
}

row 'D1 it is valid until fetched + max_age, and not a second longer' && needs_faketime && {
    domain d1age.test enforce mx1.mail.test
    check d1age.test --no-smtp --dir "$store"
    zone d1age.test '@ MX 10 mx1.mail.test.'
    dns_load
    clock=+604790 check d1age.test --no-smtp --dir "$store"
    expect 'mode == "enforce"'
    clock=+604801 check d1age.test --no-smtp --dir "$store"
    expect 'learned == "none" and mode is None'
}

row 'D2 another id: fetched at once; D17 also one that was there before' && {
    domain d2.test enforce mx1.mail.test
    check d2.test --no-smtp --dir "$store"
    for id in 2 1 0 zzz; do
        policy d2.test testing 86400 "mx$id.mail.test"
        records d2.test $id mx1.mail.test
        check d2.test --no-smtp --dir "$store"
        expect "fetched_now and id == '$id' and patterns == ['mx$id.mail.test']"
    done
}

row 'D3 D13 a fetch that fails, and a policy that does not parse, leave the cached one' && {
    domain d3.test enforce mx1.mail.test
    check d3.test --no-smtp --dir "$store"
    policy_text d3.test 'version: STSv1\nmode: nonsense\n'
    records d3.test 2 mx1.mail.test
    check d3.test --no-smtp --dir "$store"
    expect 'learned == "failed" and mode == "enforce" and id == "1" and err.startswith("POLICY_")'
    rm "$dir/www/mta-sts.d3.test/.well-known/mta-sts.txt"
    records d3.test 3 mx1.mail.test
    check d3.test --no-smtp --dir "$store"
    expect 'learned == "failed" and mode == "enforce" and id == "1"'
}

row 'D3 T6 an ill-formed TXT record, and two of them, leave the cached one' && {
    domain t6.test enforce mx1.mail.test
    check t6.test --no-smtp --dir "$store"
    zone t6.test "mta-sts A $nginx_at" '_mta-sts TXT "v=STSv1; id=1 2;"'
    dns_load
    check t6.test --no-smtp --dir "$store"
    expect 'learned == "none" and mode == "enforce"'
    zone t6.test "mta-sts A $nginx_at" '_mta-sts TXT "v=STSv1; id=2;"' '_mta-sts TXT "v=STSv1; id=3;"'
    dns_load
    check t6.test --no-smtp --dir "$store"
    expect 'learned == "none" and mode == "enforce"'
}

row 'D4 mode none replaces enforce, is cached for its max_age, and enforce comes back' && {
    domain d4.test enforce mx1.mail.test
    check d4.test --no-smtp --dir "$store"
    policy d4.test none 604800
    records d4.test 2 mx1.mail.test
    check d4.test --no-smtp --dir "$store"
    expect 'fetched_now and mode == "none"'
    records d4.test - mx1.mail.test
    check d4.test --no-smtp --dir "$store"
    expect 'mode == "none" and not fetched_now'
    policy d4.test enforce 604800 mx1.mail.test
    records d4.test 3 mx1.mail.test
    check d4.test --no-smtp --dir "$store"
    expect 'fetched_now and mode == "enforce"'
}

row 'H5 after a failed fetch none for five minutes, and one within the hour; another id at once' &&
    needs_faketime && {
    domain h5.test enforce mx1.mail.test
    mv "$dir/www/mta-sts.h5.test/.well-known/mta-sts.txt" "$dir/h5"
    check h5.test --no-smtp --dir "$store"
    for clock in +0 +120 +295; do
        check h5.test --no-smtp --dir "$store"
        expect 'learned == "failed" and mode is None'
    done
    fetched h5.test 1 'fetches within five minutes'
    records h5.test 2 mx1.mail.test
    clock=+297 check h5.test --no-smtp --dir "$store"
    fetched h5.test 2 'fetches for another id'
    mv "$dir/h5" "$dir/www/mta-sts.h5.test/.well-known/mta-sts.txt"
    clock=+3950 check h5.test --no-smtp --dir "$store"
    expect 'learned == "policy" and mode == "enforce"'
    fetched h5.test 3 'fetches an hour later'
    unset clock
}

row 'D14 a refresh is a real fetch for the same id, also while DNS fails, but not every second' &&
    needs_faketime && {
    domain d14.test enforce mx1.mail.test
    program refresh --dir "$store" d14.test
    fetched d14.test 1
    program refresh --dir "$store" d14.test
    fetched d14.test 1 'fetches at once'
    policy d14.test enforce 604800 mx2.mail.test
    clock=+90000 program refresh --dir "$store" d14.test
    fetched d14.test 2 'fetches a day later'
    clock=+90000 stored d14.test
    expect 'j["mx"] == ["mx2.mail.test"] and j["id"] == "1"'
    zone d14.test "mta-sts A $nginx_at" '_mta-sts CNAME x.dead.'
    dns_load
    clock=+180000 program refresh --dir "$store" d14.test
    fetched d14.test 3 'fetches while TXT fails'
}

row 'D7 D8 DNS that fails is not remembered as an absence' && {
    domain d7.test enforce mx1.mail.test
    zone d7.test "mta-sts A $nginx_at" '_mta-sts CNAME x.dead.'
    dns_load
    check d7.test --no-smtp --dir "$store"
    expect 'learned == "temporary"'
    records d7.test 1 mx1.mail.test
    check d7.test --no-smtp --dir "$store"
    expect 'learned == "policy"'
}

row 'D9 a clock that jumps: no life beyond max_age from now' && needs_faketime && {
    domain d9.test enforce mx1.mail.test
    clock=+31536000 check d9.test --no-smtp --dir "$store" # a year ahead, and back
    expect 'mode == "enforce" and fetched_now'
    zone d9.test '@ MX 10 mx1.mail.test.'
    dns_load
    check d9.test --no-smtp --dir "$store"
    expect 'mode == "enforce" and expires <= now + 604802'
    clock=-31536000 check d9.test --no-smtp --dir "$store"
    expect 'mode == "enforce" and expires <= now - 31536000 + 604802'
    clock=-4000000000 check d9.test --no-smtp --dir "$store" # before 1970
    check d9.test --no-smtp --dir "$store"
    expect 'mode in (None, "enforce")'
    clock=+604860 check d9.test --no-smtp --dir "$store"
    expect 'mode is None'
}

row 'D11 D13 the store: cut, changed or put under another name, an entry does not count' && {
    domain d11.test enforce mx1.mail.test
    domain d13.test enforce mx2.mail.test
    check d11.test --no-smtp --dir "$store"
    for damage in 'head -c -1' 'sed s/enforce/testing/' 'sed s/d11.test/d13.test/' 'head -c 0' 'cat'; do
        $damage "$store/d11.test" >"$dir/damaged"
        cp "$dir/damaged" "$store/d13.test"
        cp "$dir/damaged" "$store/d12.test"
        for d in d13.test d12.test; do
            stored $d
            expect '"mode" not in j'
        done
    done
    check d13.test --no-smtp --dir "$store"
    expect 'learned == "policy" and fetched_now and patterns == ["mx2.mail.test"]'
    want 'readable' grep -q 'mode: enforce' "$store/d13.test"
    rm -f "$store/d12.test"
}

row 'D11 killed at any moment: the entry is whole, the old one or the new' && {
    domain d11kill.test enforce mx1.mail.test
    check d11kill.test --no-smtp --dir "$store"
    for i in {1..25}; do
        policy d11kill.test enforce 604800 "mx1.mail.test" "k$i.mail.test"
        records d11kill.test "k$i" mx1.mail.test
        (timeout -s KILL "0.0$((i * 3 + 10))" "$mtasts" check --no-smtp --dir "$store" --dns "$(dns)" \
            --ca "$dir/ca.pem" --https-port "$https_port" --allow-private d11kill.test
            :) >"$dir/out" 2>"$dir/err"
        stored d11kill.test
        expect 'j["mode"] == "enforce" and j["mx"][0] == "mx1.mail.test"'
    done
}

row 'D15 two answers: what was learned now, and the policy to honour' && {
    domain d15.test enforce mx1.mail.test
    check d15.test --no-smtp --dir "$store"
    zone d15.test '_mta-sts CNAME x.dead.' '@ MX 10 mx1.mail.test.'
    dns_load
    check d15.test --no-smtp --dir "$store"
    expect 'learned == "temporary" and mode == "enforce" and id == "1"'
}

row 'D17 max_age 0 serves the one that fetched it, and is not kept' && {
    domain d17.test enforce mx1.mail.test
    check d17.test --no-smtp --dir "$store"
    policy d17.test enforce 0 mx1.mail.test
    records d17.test 2 mx1.mail.test
    check d17.test --no-smtp --dir "$store"
    expect 'mode == "enforce" and fetched_now'
    want 'nothing stored' [ ! -e "$store/d17.test" ]
}

row 'list, show and purge know all that is there' && needs_faketime && {
    program list --json --dir "$store"
    expect 'code == 0 and len(lines) > 8 and "d4.test" in [x["domain"] for x in lines]'
    clock=+34500000 program purge --dir "$store"
    program list --json --dir "$store"
    expect 'lines == []'
}

# poison LINE...: dnsmasq says this instead, to the programs that ask it
poison() {
    dnsmasq_start "$@"
}

row 'D1 8 DNS poisoned and HTTPS blocked: the cached policy forbids the attacker'\''s MX' &&
    needs_postfix && {
    domain victim.test enforce mx1.mail.test
    dns_at=$dnsmasq_at
    check victim.test --dir "$store"
    expect 'code == 0 and mx["mx1.mail.test"]["verdict"] == "deliver"'
    for forged in mx-host=victim.test,evil.attacker.test,1 \
        "txt-record=_mta-sts.victim.test,v=spf1" "address=/mx1.mail.test/${mx_at[evil.attacker.test]}"; do
        case $forged in
        mx-host*) poison $forged "address=/mta-sts.victim.test/$forger_at" ;;
        txt*) poison $forged mx-host=victim.test,evil.attacker.test,1 "address=/_mta-sts.victim.test/" ;;
        *) poison $forged "address=/mta-sts.victim.test/$forger_at" ;;
        esac
        check victim.test --dir "$store"
        expect 'code == 2 and mode == "enforce" and all(m["verdict"] == "refused" for m in mx.values())'
    done
    poison
    check victim.test --dir "$store"
    expect 'mx["mx1.mail.test"]["verdict"] == "deliver"'
    unset dns_at
}
