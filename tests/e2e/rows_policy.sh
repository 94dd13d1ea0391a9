# TXT record, policy and HTTPS: RFC 8461 3.1 to 3.3, as `mtasts check` sees them.
# shellcheck shell=bash
#
# Not to be seen from outside, and tested elsewhere: H4's lower limits of a host, H7's predicate by
# itself (unit tests); H5's jitter (model); most ways to break HTTP and TLS (tests/adapters).

for d in good other a b c; do
    domain $d.test enforce mx1.mail.test
done

row 'H1 the request is a GET with SNI and Host of the policy host; H2 status 200' && {
    check good.test --no-smtp
    expect 'learned == "policy" and mode == "enforce" and id == "1" and patterns == ["mx1.mail.test"]'
    want 'one request' grep -qE \
        '^mta-sts\.good\.test mta-sts\.good\.test(:[0-9]+)? "GET /\.well-known/mta-sts\.txt HTTP/1\.1" 200' \
        "$dir/nginx/access.log"
    fetched good.test 1
}

row 'H2 no HTTP cache: what was changed a moment ago is seen' && {
    policy a.test enforce 86400 mx2.mail.test
    check a.test --no-smtp
    expect 'patterns == ["mx2.mail.test"]'
    policy a.test testing 86400 mx1.mail.test
    check a.test --no-smtp
    expect 'patterns == ["mx1.mail.test"] and mode == "testing"'
    want 'no conditional request' eval '! grep -q "\" 304 " "$dir/nginx/access.log"'
}

# certificate_row TITLE DOMAIN KIND NAME...: a policy host with this certificate; sts-webpki-invalid
certificate_row() {
    row "$1" || return 0
    local domain=$2
    shift 2
    domain "$domain" enforce mx1.mail.test
    certificate "mta-sts.$domain" "$@"
    check "$domain" --no-smtp
    expect 'learned == "failed" and mode is None and tlsrpt == "sts-webpki-invalid"'
}

certificate_row 'H1 a certificate of another name' h1name.test good other.test
certificate_row 'H1 a certificate of the domain itself' h1self.test good h1self.test
certificate_row 'H1 a certificate with the name only as its common name' h1cn.test cn-only \
    mta-sts.h1cn.test
certificate_row 'H1 a wildcard that does not stand for one whole label' h1part.test good \
    '*.test' 'mta*.h1part.test' '*-sts.h1part.test' '*.*.test' 'mta-sts.*.test'
certificate_row 'H1 an expired certificate' h1expired.test expired mta-sts.h1expired.test
certificate_row 'H1 a certificate of the future' h1future.test future mta-sts.h1future.test
certificate_row 'H1 a self-signed certificate' h1own.test self mta-sts.h1own.test

row 'H1 an issuer below the CA' && {
    issuer below
    domain h1below.test enforce mx1.mail.test
    certificate mta-sts.h1below.test below mta-sts.h1below.test
    check h1below.test --no-smtp
    expect 'learned == "policy"'
}

# mbedTLS looks at neither by itself
issuer for-clients extendedKeyUsage=clientAuth,emailProtection
issuer for-others 'nameConstraints=permitted;DNS:others.test'
certificate_row 'H1 an issuer that is not for servers' h1clients.test for-clients \
    mta-sts.h1clients.test
certificate_row 'H1 an issuer that is for other names' h1others.test for-others mta-sts.h1others.test

row 'H1 a certificate of a CA that is not trusted' && {
    ca=$dir/other-ca.pem check good.test --no-smtp
    expect 'learned == "failed" and tlsrpt == "sts-webpki-invalid"'
}

row 'H1 a certificate on the CRL, and one that is not' && {
    domain h1revoked.test enforce mx1.mail.test
    certificate mta-sts.h1revoked.test revoked mta-sts.h1revoked.test
    crl
    check h1revoked.test --no-smtp --crl "$dir/crl.pem"
    expect 'learned == "failed" and tlsrpt == "sts-webpki-invalid"'
    check good.test --no-smtp --crl "$dir/crl.pem"
    expect 'learned == "policy"'
}

row 'H1 a wildcard as the whole left-most label; the name among a hundred' && {
    domain h1wild.test enforce mx1.mail.test
    certificate mta-sts.h1wild.test good '*.h1wild.test'
    check h1wild.test --no-smtp
    expect 'learned == "policy"'
    certificate mta-sts.h1wild.test good x{1..99}.test mta-sts.h1wild.test
    check h1wild.test --no-smtp
    expect 'learned == "policy"'
}

row 'H1 the server does not know the name: no certificate' && {
    domain h1unknown.test enforce mx1.mail.test
    rm "$dir/certs/mta-sts.h1unknown.test.pem"
    check h1unknown.test --no-smtp
    expect 'learned == "failed" and tlsrpt in ("sts-policy-fetch-error", "sts-webpki-invalid")'
}

row 'H2 a redirect is not followed' && {
    domain redirect.test enforce mx1.mail.test
    before=$(fetches good.test)
    check redirect.test --no-smtp
    expect 'learned == "failed" and tlsrpt == "sts-policy-fetch-error" and err == "HTTP_REDIRECT"'
    fetched good.test "$before" 'fetches from where it led to'
}

row 'H2 404' && {
    domain h2missing.test enforce mx1.mail.test
    rm "$dir/www/mta-sts.h2missing.test/.well-known/mta-sts.txt"
    check h2missing.test --no-smtp
    expect 'learned == "failed" and tlsrpt == "sts-policy-fetch-error" and http_status == 404'
}

row 'H3 another media type' && {
    domain html.test enforce mx1.mail.test
    check html.test --no-smtp
    expect 'learned == "failed" and tlsrpt in ("sts-policy-fetch-error", "sts-policy-invalid")'
}

row 'H3 parameters of the media type do not matter' && {
    domain charset.test enforce mx1.mail.test
    check charset.test --no-smtp
    expect 'learned == "policy"'
}

# a policy of exactly $2 octets for domain $1
policy_of_size() {
    local text='version: STSv1\nmode: enforce\nmx: mx1.mail.test\nmax_age: 86400\nx: ' blank
    blank=$(($2 - $(printf "$text" | wc -c) - 1))
    policy_text "$1" "$text$(head -c $blank /dev/zero | tr '\0' x)\n"
    same size "$(stat -c %s "$dir/www/mta-sts.$1/.well-known/mta-sts.txt")" "$2"
}

row 'H4 P9 64 KiB are read, one octet more is refused, and 100 MB' && {
    domain h4large.test enforce mx1.mail.test
    policy_of_size h4large.test 65536
    check h4large.test --no-smtp
    expect 'learned == "policy"'
    policy_of_size h4large.test 65537
    check h4large.test --no-smtp
    expect 'learned == "failed" and err == "HTTP_BODY_SIZE" and tlsrpt == "sts-policy-fetch-error"'
    truncate -s 100M "$dir/www/mta-sts.h4large.test/.well-known/mta-sts.txt"
    check h4large.test --no-smtp
    expect 'learned == "failed" and err == "HTTP_BODY_SIZE"'
}

row 'H4 a server that takes its time: no longer than --timeout' && {
    domain slow.test enforce mx1.mail.test
    before=$(date +%s%N)
    patience=1 check slow.test --no-smtp
    expect 'learned == "failed" and tlsrpt == "sts-policy-fetch-error"'
    took=$((($(date +%s%N) - before) / 1000000))
    [ $took -lt 3000 ] || bad "it took $took ms"
}

row 'H6 nobody listens' && {
    domain h6down.test enforce mx1.mail.test
    zone h6down.test "mta-sts A $forger_at" '_mta-sts TXT "v=STSv1; id=1"'
    dns_load
    check h6down.test --no-smtp
    expect 'learned == "failed" and tlsrpt == "sts-policy-fetch-error"'
    zone h6down.test '_mta-sts TXT "v=STSv1; id=1"'
    dns_load
    check h6down.test --no-smtp
    expect 'learned == "failed" and tlsrpt == "sts-policy-fetch-error"'
}

row 'H6 P3 P8 P10 a policy that does not parse: sts-policy-invalid' && {
    for text in '' 'version: STSv1\nmode: enforce\nmx: mx1.mail.test\n' \
        'version: STSv2\nmode: enforce\nmx: mx1.mail.test\nmax_age: 86400\n' \
        'version: STSv1\nmode: enforced\nmx: mx1.mail.test\nmax_age: 86400\n' \
        'version: STSv1\nmode: enforce\nmax_age: 86400\n' \
        'version: STSv1\nmode: enforce\nmx: *.*.test\nmax_age: 86400\n' '<html>\n' '\0\033[31m\n'; do
        policy_text b.test "$text"
        check b.test --no-smtp
        expect 'learned == "failed" and mode is None and tlsrpt == "sts-policy-invalid"'
    done
}

row 'P1 P2 P7 P8 CR LF, blanks, fields nobody knows, one twice' && {
    policy_text b.test 'version: STSv1\r\nmx:  mx1.mail.test \r\nfuture: x:y\r\nmode: enforce\r\nmode: none\r\nmax_age:86400'
    check b.test --no-smtp
    expect 'learned == "policy" and mode == "enforce" and patterns == ["mx1.mail.test"]'
}

row 'H7 addresses that are not public are not connected to' && {
    before=$(wc -l <"$dir/nginx/error.log")
    public_only=1 check good.test --no-smtp
    expect 'learned == "failed" and tlsrpt == "sts-policy-fetch-error"'
    same 'connections to nginx' "$(wc -l <"$dir/nginx/error.log")" "$before"
}

# txt_row TITLE EXPRESSION TXT...: these records, each as in a zone file
txt_row() {
    row "$1" || return 0
    local expression=$2 lines=("mta-sts A $nginx_at" '@ MX 10 mx1.mail.test.') record
    shift 2
    for record in "$@"; do
        lines+=("_mta-sts TXT $record")
    done
    zone c.test "${lines[@]}"
    dns_load
    check c.test --no-smtp
    expect "$expression"
}

none='learned == "none" and mode is None'
txt_row 'T1 several strings are joined with nothing between' 'id == "1234"' '"v=STS" "v1; id=12" "34;"'
txt_row 'T2 stray records do not count' 'learned == "policy" and id == "1"' '"v=spf1 -all"' \
    '"v=STSv1; id=1"' '"v=STSv2; id=2"' '""'
txt_row 'T2 two records: none that counts, told apart' "$none and err == 'MULTIPLE_RECORDS'" \
    '"v=STSv1; id=1"' '"v=STSv1; id=2"'
txt_row 'T2 only strays' "$none" '"v=spf1 -all"' '"google-site-verification=x"'
txt_row 'T3 T4 T6 no id: no record' "$none" '"v=STSv1;"'
txt_row 'T3 not at the beginning: no record' "$none" '" v=STSv1; id=1"'
txt_row 'T4 the first id counts; T5 fields nobody knows' 'id == "1"' '"v=STSv1; a=b; id=1; id=2;"'
txt_row 'T7 octets that are not ASCII: no record' "$none" '"v=STSv1; id=1; x=\195\164"' '"\027[31m"'
txt_row 'T2 M5 a huge answer comes over TCP' 'learned == "policy" and id == "1"' '"v=STSv1; id=1"' \
    "$(for i in {1..80}; do printf '"%0200d" ' "$i"; done)" '"x"'

row 'T2 no TXT record, and no such name at all' && {
    records c.test - mx1.mail.test
    check c.test --no-smtp
    expect "$none and code == 1"
    check nobody.test --no-smtp
    expect "$none"
}

row 'A9 D13 the policy of a parent is not that of its child; A9 address literals have none' && {
    check sub.good.test --no-smtp
    expect "$none"
    check '[127.0.0.1]' --no-smtp
    want 'no policy for an address' [ $code -gt 0 ]
}

row 'D13 names are compared in lower case, without a dot at the end' && {
    check GOOD.Test. --no-smtp
    expect 'learned == "policy" and domain == "good.test"'
}

# aliases COUNT: _mta-sts.d12.test leads to the record through so many
aliases() {
    local i lines=("mta-sts A $nginx_at" '@ MX 10 mx1.mail.test.' '_mta-sts CNAME _1.delegated.test.')
    for ((i = 1; i < $1; i++)); do
        lines+=("_$i.delegated.test. CNAME _$((i + 1)).delegated.test.")
    done
    zone d12.test "${lines[@]}" "_$1.delegated.test. TXT \"v=STSv1; id=1\""
    dns_load
}

row 'D12 aliases: five are followed, six are not, nor a circle; the policy host may be one' && {
    domain d12.test enforce mx1.mail.test
    for n in 1 5; do
        aliases $n
        check d12.test --no-smtp
        expect 'learned == "policy" and id == "1"'
    done
    aliases 6
    check d12.test --no-smtp
    expect 'learned == "temporary" and mode is None'
    zone d12.test '_mta-sts CNAME _b' '_b CNAME _mta-sts'
    dns_load
    check d12.test --no-smtp
    expect 'learned == "temporary"'
    zone d12.test '_mta-sts TXT "v=STSv1; id=1"' 'mta-sts CNAME mta-sts.good.test.'
    dns_load
    check d12.test --no-smtp
    expect 'learned == "policy"'
}

row 'D7 D15 DNS that fails is temporary, and no absence' && {
    check x.dead --no-smtp # SERVFAIL
    expect 'learned == "temporary" and mode is None and code != 0'
    dns_at=$forger_at patience=1 check good.test --no-smtp # nobody is there
    expect 'learned == "temporary"'
}

row 'D7 D15 DNSSEC: good signatures, then a forged record: temporary; then good again' && {
    certificate mta-sts.d.signed.test good mta-sts.d.signed.test
    policy d.signed.test enforce 86400 mx1.mail.test
    check d.signed.test --no-smtp
    expect 'learned == "policy" and id == "good"'
    forge 's/id=good/id=evil/'
    check d.signed.test --no-smtp
    expect 'learned == "temporary" and mode is None'
    forge '/_mta-sts/d' # and the record taken away without proof
    check d.signed.test --no-smtp
    expect 'learned == "temporary" and mode is None'
    forge_end
    check d.signed.test --no-smtp
    expect 'learned == "policy" and id == "good"'
}
