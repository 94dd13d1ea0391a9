# A thousand domains at once; and memory.
# shellcheck shell=bash

# d0.many.test to d999.many.test, each with a policy of its own
many_domains() {
    local hundreds n names
    [ ! -e "$dir/domains" ] || return
    for hundreds in '' {1..9}; do
        names=()
        for n in {0..99}; do
            names+=("mta-sts.d$((${hundreds:-0} * 100 + n)).many.test")
        done
        certificate "many$hundreds" good "${names[@]}"
    done
    for n in {0..999}; do
        printf '_mta-sts.d%d TXT "v=STSv1; id=%d"\nmta-sts.d%d A %s\nd%d MX 10 mx1.mail.test.\n' \
            $n $n $n $nginx_at $n
    done >"$dir/many"
    zone many.test "$(cat "$dir/many")"
    dns_load
    for n in {0..999}; do
        echo d$n.many.test
    done >"$dir/domains"
}

row 'a thousand domains at once, each with its policy; their MX host is asked a few times at most' && {
    many_domains
    before=$(grep -c 'mx1.mail.test/smtpd.*: connect from' "$dir/postfix/log" 2>/dev/null)
    # shellcheck disable=SC2046 # an option or none
    patience=30 check --from "$dir/domains" --jobs 100 $([ -z "$no_postfix" ] || echo --no-smtp)
    expect 'len({x["domain"] for x in lines}) == 1000 and code == 0'
    expect 'all(x["policy"]["mx"] == ["own." + x["domain"], "mx1.mail.test"] for x in lines)'
    expect 'all(x["learned"] == "policy" and x["verdict"] == "protected" for x in lines)'
    fetched 'd[0-9]*\.many.test' 1000
    after=$(grep -c 'mx1.mail.test/smtpd.*: connect from' "$dir/postfix/log" 2>/dev/null)
    [ -n "$no_postfix" ] || [ $((after - before)) -le 20 ] || bad "connections to mx1: $((after - before))"
}

row 'a thousand domains at once, into the store, while nginx is killed' && {
    many_domains
    # shellcheck disable=SC2046 # words are meant to split
    (sleep 0.5 && kill -KILL $(nginx_workers)) & # its master starts another
    patience=30 check --from "$dir/domains" --no-smtp --jobs 100 --dir "$dir/store-many"
    wait $!
    expect 'len({x["domain"] for x in lines}) == 1000 and code in (0, 1)'
    expect 'all(x["learned"] in ("policy", "failed") for x in lines)'
    program list --json --dir "$dir/store-many"
    expect 'len(lines) == 1000'
    want 'no temporary files' eval '[ $(ls "$dir/store-many" | wc -l) = 1000 ]'
}

row 'D6 sender: mails to two hundred domains at once: all delivered, one fetch for each' &&
    needs_postfix && {
    many_domains
    sender_start --timeout 30
    for n in {0..199}; do
        tell "send d$n.many.test"
    done
    before=$(fetches 'd[0-9]*\.many.test')
    outcomes '^d[0-9]+.many.test delivered mx1.mail.test .* verified policy=enforce' 200
    sender_end
    same 'mails taken' "$(taken mx1.mail.test 'postmaster@d[0-9]*.many.test')" 200
    [ $(($(fetches 'd[0-9]*\.many.test') - before)) -le 200 ] || bad 'a policy was fetched twice'
}

row 'no process of the programs is left' && {
    ! pgrep -f "^($mtasts|$sender) .*$dir" >/dev/null || bad "$(pgrep -a -f "^($mtasts|$sender) .*$dir")"
}

row 'valgrind finds nothing in `mtasts check`, neither errors nor what was not freed' && {
    plain=${MTASTS_PLAIN:-$mtasts}
    if ! command -v valgrind >/dev/null; then
        skip='valgrind is not installed'
    elif ldd "$plain" | grep -q libasan; then
        skip='valgrind does not go with ASan: name a plain build in MTASTS_PLAIN'
    else
        certificate mta-sts.good.test good mta-sts.good.test
        timeout 60 valgrind -q --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all \
            --track-fds=yes --error-exitcode=99 "$plain" check --dns "$(dns)" --ca "$dir/ca.pem" \
            --https-port "$https_port" --smtp-port "$smtp_port" --allow-private --timeout 10 \
            --dir "$dir/store-valgrind" good.test h1self.test redirect.test nobody.test d1.many.test \
            >"$dir/out" 2>"$dir/err"
        code=$?
        [ $code -le 2 ] || bad "exit code $code: $(head -n 12 "$dir/err")"
        ! grep -A 1 'Open file descriptor' "$dir/err" | grep -q ' at 0x' || bad "$(grep -A 9 'Open file' "$dir/err")"
    fi
}
