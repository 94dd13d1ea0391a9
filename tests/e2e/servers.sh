# Real servers on loopback, for tests/e2e/run, which sources this file.
#   knot (authoritative, signs signed.test) <- unbound (validates) <- the programs
#   a second knot is an attacker's who answers for signed.test
#   dnsmasq: a resolver that an attacker can poison; else it asks unbound
#   nginx: policies of all domains, one certificate for each, chosen by SNI
#   Postfix: MX hosts, each an address and a certificate of its own; what they take is discarded
# Everything lives below $dir. Servers are children of the shell and end with it.
# shellcheck shell=bash

PATH=$PATH:/usr/sbin:/sbin
knot_at=127.0.0.2 forger_at=127.0.0.3 unbound_at=127.0.0.4 dnsmasq_at=127.0.0.5 nginx_at=127.0.0.6
declare -A pid_of mx_at # server -> process id, MX host -> address

# ---- starting and stopping ----

# wait_until SECONDS COMMAND...: poll until it succeeds
wait_until() {
    local tries=$(($1 * 50))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.02
    done
}

not() {
    ! "$@"
}

# server NAME COMMAND...: start it in the background, its output in $dir/NAME.out
server() {
    local name=$1
    shift
    "$@" >>"$dir/$name.out" 2>&1 </dev/null 7>&- &
    pid_of[$name]=$!
    echo $! >>"$dir/pids"
}

# guard: if this shell is killed, end what it has started. All of that has $dir on its command line,
# which tells it from a later process with the same id.
guard() {
    # shellcheck disable=SC2016 # for the other shell
    setsid bash -c 'cd /
        while kill -0 "$1" 2>/dev/null; do sleep 1; done
        for pid in $(cat "$2/pids"); do
            grep -qF "$2" "/proc/$pid/cmdline" && kill -TERM "$pid" && kill -CONT "$pid"
        done
        rm -rf "$2"' guard $$ "$dir" >/dev/null 2>&1 </dev/null 7>&- &
    guard_pid=$!
}

running() {
    [ -n "${pid_of[$1]:-}" ] && kill -0 "${pid_of[$1]}" 2>/dev/null
}

# stop NAME [SIGNAL]: end it, and wait until it is gone
stop() {
    local pid=${pid_of[$1]:-} children=""
    [ -n "$pid" ] || return 0
    # killed it cannot tell its children, who would go on listening
    [ "${2:-TERM}" = TERM ] || children=$(pgrep -P "$pid")
    # shellcheck disable=SC2086 # words are meant to split
    kill "-${2:-TERM}" "$pid" ${children:-} 2>/dev/null
    wait_until 5 not_running "$1" || kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    unset "pid_of[$1]"
} 2>/dev/null # where the shell says that it was killed

not_running() {
    ! kill -0 "${pid_of[$1]}" 2>/dev/null || grep -q '^State:.Z' "/proc/${pid_of[$1]}/status"
}

stop_servers() {
    local name
    for name in "${!pid_of[@]}"; do
        stop "$name"
    done
}

# free_port ADDRESS...: one that is free on all of them, TCP and UDP
free_port() {
    /usr/bin/python3 - "$@" <<'END'
import socket, sys
for _ in range(100):
    held = []
    try:
        port = 0
        for address in sys.argv[1:]:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                s = socket.socket(socket.AF_INET, kind)
                held.append(s)
                s.bind((address, port))
                port = s.getsockname()[1]
        print(port)
        break
    except OSError:
        pass
    finally:
        for s in held:
            s.close()
END
}

# ---- certificates ----

ca_init() {
    mkdir -p "$dir/ca" "$dir/certs"
    cat >"$dir/ca/openssl.cnf" <<END
[ca]
default_ca = own
[own]
database = $dir/ca/index.txt
new_certs_dir = $dir/ca
serial = $dir/ca/serial
default_md = sha256
policy = any
unique_subject = no
default_crl_days = 3650
copy_extensions = copy
[any]
commonName = optional
[req]
distinguished_name = dn
[dn]
END
    : >"$dir/ca/index.txt"
    echo 1000 >"$dir/ca/serial"
    openssl ecparam -name prime256v1 -genkey -noout -out "$dir/key.pem" 2>/dev/null
    local name
    for name in ca other-ca; do
        openssl req -x509 -new -key "$dir/key.pem" -config "$dir/ca/openssl.cnf" -subj "/CN=$name" \
            -days 3650 -addext basicConstraints=critical,CA:TRUE \
            -addext keyUsage=critical,keyCertSign,cRLSign -out "$dir/$name.pem"
    done
}

# issuer NAME EXTENSION...: a CA below ours, for certificates of kind NAME
issuer() {
    local name=$1 extension extensions=(-addext basicConstraints=critical,CA:TRUE)
    shift
    for extension in "$@"; do
        extensions+=(-addext "$extension")
    done
    openssl req -new -key "$dir/key.pem" -config "$dir/ca/openssl.cnf" -subj "/CN=$name" \
        "${extensions[@]}" -out "$dir/ca/request.pem"
    openssl ca -batch -notext -config "$dir/ca/openssl.cnf" -cert "$dir/ca.pem" \
        -keyfile "$dir/key.pem" -in "$dir/ca/request.pem" -out "$dir/ca/$name.pem" -days 3650 \
        2>/dev/null
}

# certificate FILE KIND NAME...: for these names, in $dir/certs/FILE.pem
#   KIND: good, expired, future, self, cn-only (the first name only as the subject's), revoked, or an
#   issuer's name
certificate() {
    local out=$dir/certs/$1.pem kind=$2 san="" from to name
    shift 2
    from=$(date -u -d '-2 days' +%Y%m%d%H%M%SZ) to=$(date -u -d '+9 years' +%Y%m%d%H%M%SZ)
    [ "$kind" = expired ] && to=$(date -u -d '-1 hour' +%Y%m%d%H%M%SZ)
    [ "$kind" = future ] && from=$(date -u -d '+1 year' +%Y%m%d%H%M%SZ)
    for name in "$@"; do
        san=$san,DNS:$name
    done
    san=subjectAltName=${san#,} name=e2e
    [ "$kind" = cn-only ] && san=keyUsage=digitalSignature name=$1
    if [ "$kind" = self ]; then
        openssl req -x509 -new -key "$dir/key.pem" -config "$dir/ca/openssl.cnf" -subj "/CN=$name" \
            -days 3650 -addext "$san" -out "$out"
    else
        openssl req -new -key "$dir/key.pem" -config "$dir/ca/openssl.cnf" -subj "/CN=$name" \
            -addext "$san" -out "$dir/ca/request.pem"
        local issuer=$dir/ca/$kind.pem
        [ -e "$issuer" ] || issuer=$dir/ca.pem
        openssl ca -batch -notext -config "$dir/ca/openssl.cnf" -cert "$issuer" \
            -keyfile "$dir/key.pem" -in "$dir/ca/request.pem" -out "$out" -startdate "$from" \
            -enddate "$to" 2>/dev/null
        [ "$issuer" = "$dir/ca.pem" ] || cat "$issuer" >>"$out"
    fi
    if [ "$kind" = revoked ]; then
        openssl ca -config "$dir/ca/openssl.cnf" -cert "$dir/ca.pem" -keyfile "$dir/key.pem" \
            -revoke "$out" 2>/dev/null
    fi
}

crl() {
    openssl ca -config "$dir/ca/openssl.cnf" -cert "$dir/ca.pem" -keyfile "$dir/key.pem" -gencrl \
        -out "$dir/crl.pem" 2>/dev/null
}

# ---- DNS ----

# knot_start NAME ADDRESS ZONE[:sign]...: zone files are $dir/NAME/ZONE.zone
knot_start() {
    local name=$1 at=$2 zone
    shift 2
    mkdir -p "$dir/$name/db"
    {
        printf 'server:\n  rundir: %s\n  listen: %s@%s\n  udp-workers: 1\n  tcp-workers: 1\n' \
            "$dir/$name" "$at" "$knot_port"
        printf '  background-workers: 1\nlog:\n  - target: stderr\n    any: notice\n'
        printf 'database:\n  storage: %s/db\ncontrol:\n  listen: %s/control\n' "$dir/$name" "$dir/$name"
        printf 'zone:\n'
        for zone in "$@"; do
            printf '  - domain: %s\n    file: %s\n    zonefile-sync: -1\n' \
                "${zone%:sign}" "$dir/$name/${zone%:sign}.zone"
            printf '    journal-content: none\n'
            [ "$zone" = "${zone%:sign}" ] || printf '    dnssec-signing: on\n'
        done
    } >"$dir/$name/knot.conf"
    server "$name" knotd -c "$dir/$name/knot.conf"
}

knot_control() {
    timeout 10 knotc -c "$dir/${knot:-knot}/knot.conf" "$@"
}

knot_answers() {
    [ -n "$(dig +short +time=1 +tries=1 -p "$knot_port" "@$2" "$1" SOA)" ]
}

unbound_start() {
    mkdir -p "$dir/unbound"
    cat >"$dir/unbound/unbound.conf" <<END
server:
    interface: $unbound_at
    port: $dns_port
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-ip6: no
    chroot: ""
    username: ""
    pidfile: ""
    directory: "$dir/unbound"
    use-syslog: no
    verbosity: 1
    num-threads: 1
    local-zone: "." static
    local-zone: "test." transparent
    local-zone: "dead." transparent
    module-config: "validator iterator"
    trust-anchor-file: "$dir/unbound/anchor"
    infra-host-ttl: 1
    infra-keep-probing: yes
    serve-expired: no
    extended-statistics: no
remote-control:
    control-enable: yes
    control-interface: $dir/unbound/control
    control-use-cert: no
stub-zone:
    name: "test."
    stub-addr: $knot_at@$knot_port
stub-zone:
    name: "signed.test."
    stub-addr: $knot_at@$knot_port
stub-zone:
    name: "dead." # knot knows nothing of it: SERVFAIL
    stub-addr: $knot_at@$knot_port
END
    server unbound unbound -d -p -c "$dir/unbound/unbound.conf"
}

unbound_control() {
    timeout 10 unbound-control -c "$dir/unbound/unbound.conf" -q "$@"
}

# dnsmasq_start [LINE...]: forwards to unbound, but for what the lines say; restarts it
# shellcheck disable=SC2120 # rows_*.sh give lines
dnsmasq_start() {
    stop dnsmasq
    printf '%s\n' no-resolv no-hosts keep-in-foreground bind-interfaces cache-size=0 user= \
        "log-facility=-" "pid-file=" \
        "listen-address=$dnsmasq_at" "port=$dns_port" "server=$unbound_at#$dns_port" "$@" \
        >"$dir/dnsmasq.conf"
    server dnsmasq dnsmasq -C "$dir/dnsmasq.conf"
    wait_until 5 dig +time=1 +tries=1 -p "$dns_port" "@$dnsmasq_at" version.bind CH TXT
}

serial=1
# zone_write ZONE: put the parts together
zone_write() {
    serial=$((serial + 1))
    {
        printf '$ORIGIN %s.\n$TTL %s\n@ SOA ns hostmaster %s 3600 600 86400 1\n@ NS ns\nns A %s\n' \
            "$1" "${ttl:-1}" $serial "$knot_at"
        cat "$dir/zones/$1/"* 2>/dev/null
    } >"$dir/knot/$1.zone"
}

# zone NAME RECORD...: what there is below NAME, as in a zone file; dns_load makes it so
zone() {
    local name=$1
    shift
    printf '%s\n' "\$ORIGIN $name." "$@" >"$dir/zones/test/$name"
}

dns_load() {
    zone_write test
    knot_control -b zone-reload test >/dev/null || echo "knot: no reload" >&2
    unbound_control flush_zone test
}

dns_start() {
    mkdir -p "$dir/zones/test" "$dir/zones/signed.test" "$dir/knot"
    printf '%s\n' '$ORIGIN d.signed.test.' '@ MX 10 mx1.mail.test.' "mta-sts A $nginx_at" \
        '_mta-sts TXT "v=STSv1; id=good"' >"$dir/zones/signed.test/d.signed.test"
    zone_write test
    zone_write signed.test
    knot_start knot $knot_at test signed.test:sign
    wait_until 10 knot_answers test $knot_at && wait_until 10 knot_signs || return 1
    mkdir -p "$dir/unbound"
    dig +short -p "$knot_port" "@$knot_at" signed.test DNSKEY | sed -n 's/^257/signed.test. DNSKEY 257/p' \
        >"$dir/unbound/anchor"
    unbound_start
    wait_until 10 unbound_control status && dnsmasq_start
}

knot_signs() {
    dig +short -p "$knot_port" "@$knot_at" signed.test DNSKEY | grep -q '^257'
}

# forge SED: an attacker answers for signed.test with what knot has signed, changed
forge() {
    stop forger
    mkdir -p "$dir/forger"
    knot_control zone-read signed.test | sed 's/^\[[^]]*\] //' | sed "$1" >"$dir/forger/signed.test.zone"
    knot_start forger $forger_at signed.test
    wait_until 10 knot_answers signed.test $forger_at || echo "the forger does not answer" >&2
    unbound_control stub_add signed.test "$forger_at@$knot_port"
    unbound_forget
}

forge_end() {
    stop forger
    unbound_control stub_add signed.test "$knot_at@$knot_port"
    unbound_forget
}

unbound_forget() {
    unbound_control flush_zone test
    unbound_control flush_infra all
}

# ---- HTTPS ----

nginx_start() {
    mkdir -p "$dir/nginx" "$dir/www"
    cat >"$dir/nginx/nginx.conf" <<END
daemon off;
pid $dir/nginx/pid;
error_log $dir/nginx/error.log info;
worker_processes 1;
${root_user:-}
events { worker_connections 4096; }
http {
    log_format e2e '\$ssl_server_name \$http_host "\$request" \$status "\$http_user_agent"';
    access_log $dir/nginx/access.log e2e;
    client_body_temp_path $dir/nginx/t1; proxy_temp_path $dir/nginx/t2;
    fastcgi_temp_path $dir/nginx/t3; uwsgi_temp_path $dir/nginx/t4; scgi_temp_path $dir/nginx/t5;
    default_type text/plain;
    types { text/plain txt; }
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate_key $dir/key.pem;
    map \$ssl_server_name \$certificate {
        default \$ssl_server_name;
        ~^mta-sts\\.d(?<hundreds>\\d*?)\\d?\\d\\.many\\. many\$hundreds;
    }
    ssl_certificate $dir/certs/\$certificate.pem;
    gzip on; # must not be asked for
    gzip_min_length 1;
    gzip_types text/plain;
    root $dir/www/\$host;
    server { # names that nobody knows
        listen $nginx_at:$https_port ssl default_server backlog=4096;
        ssl_reject_handshake on;
    }
    server { # a thousand domains, each with a policy that names itself
        listen $nginx_at:$https_port ssl;
        server_name ~^mta-sts\\.(?<of>d\\d+)\\.many\\.test\$;
        location / {
            return 200 "version: STSv1\\nmode: enforce\\nmax_age: 86400\\nmx: own.\$of.many.test\\nmx: mx1.mail.test\\n";
        }
    }
    server { # a file for each policy host
        listen $nginx_at:$https_port ssl;
        server_name ~^mta-sts\\. ~^other\\.;
    }
    server {
        listen $nginx_at:$https_port ssl;
        server_name mta-sts.redirect.test;
        return 301 https://mta-sts.good.test:$https_port\$request_uri;
    }
    server {
        listen $nginx_at:$https_port ssl;
        server_name mta-sts.html.test;
        types { text/html txt; }
    }
    server {
        listen $nginx_at:$https_port ssl;
        server_name mta-sts.charset.test;
        charset utf-8; # text/plain; charset=utf-8
    }
    server {
        listen $nginx_at:$https_port ssl;
        server_name mta-sts.slow.test;
        limit_rate 10;
    }
}
END
    server nginx nginx -c "$dir/nginx/nginx.conf" -e "$dir/nginx/error.log"
    wait_until 10 listens $nginx_at "$https_port"
}

nginx_workers() {
    pgrep -P "${pid_of[nginx]}"
}

# fetches DOMAIN: how many requests for its policy there were
fetches() {
    grep -c "^mta-sts\.$1 " "$dir/nginx/access.log"
}

listens() {
    # shellcheck disable=SC2217 # only whether it can be opened
    (: <"/dev/tcp/$1/$2") 2>/dev/null
}

# ---- SMTP ----

# Is there a Postfix that we can run?
postfix_missing() {
    if [ "$(id -u)" != 0 ]; then
        echo "Postfix needs root"
    elif ! command -v postfix >/dev/null || ! [ -x /usr/lib/postfix/sbin/smtpd ]; then
        echo "Postfix is not installed"
    fi
}

# mx HOST ADDRESS KIND [NAME...]: an MX host; KIND none: without TLS; else as for certificate, for
# these names, by default its own
mx() {
    local host=$1 at=$2 kind=$3
    shift 3
    mx_at[$host]=$at
    local options="-o smtpd_tls_security_level=none"
    if [ "$kind" != none ]; then
        certificate "$host" "$kind" "${@:-$host}"
        cat "$dir/key.pem" "$dir/certs/$host.pem" >"$dir/postfix/$host.pem"
        options="-o smtpd_tls_security_level=may -o smtpd_tls_chain_files=$dir/postfix/$host.pem"
    fi
    printf '%s:%s inet n - n - 50 smtpd\n    -o syslog_name=%s -o myhostname=%s %s\n' \
        "$at" "$smtp_port" "$host" "$host" "$options" >>"$dir/postfix/master.cf"
}

postfix_config() {
    mkdir -p "$dir/postfix/queue" "$dir/postfix/data"
    chown postfix "$dir/postfix/data"
    cat >"$dir/postfix/main.cf" <<END
compatibility_level = 3.6
queue_directory = $dir/postfix/queue
data_directory = $dir/postfix/data
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = e2e.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access static:{INFO accepted}
smtpd_data_restrictions = check_client_access static:{INFO data}
smtpd_client_connection_count_limit = 0
smtpd_tls_loglevel = 1
smtpd_tls_mandatory_protocols = >=TLSv1.2
default_transport = discard:
relay_transport = discard:
local_transport = discard:
notify_classes =
alias_maps =
local_recipient_maps =
maillog_file = $dir/postfix/log
maillog_file_prefixes = $dir
END
    cat >"$dir/postfix/master.cf" <<'END'
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
showq unix n - n - - showq
END
}

postfix_start() {
    local host
    postfix -c "$dir/postfix" check >"$dir/postfix.out" 2>&1 # makes the queue
    server postfix setsid "$(postconf -h -c "$dir/postfix" daemon_directory)/master" -d \
        -c "$dir/postfix"
    for host in "${!mx_at[@]}"; do
        wait_until 15 listens "${mx_at[$host]}" "$smtp_port" || return 1
    done
}

# After its master was killed: nobody listens any more
postfix_gone() {
    local host
    for host in "${!mx_at[@]}"; do
        wait_until 15 not listens "${mx_at[$host]}" "$smtp_port" || return 1
    done
}

# taken HOST RECIPIENT: how many recipients like that this MX has accepted. What was logged before
# the mark, stands before it.
taken() {
    local mark=mark-$RANDOM-$RANDOM
    postlog -c "$dir/postfix" "$mark"
    wait_until 5 grep -q $mark "$dir/postfix/log"
    grep -c "$1/smtpd.* info: RCPT from .* to=<$2>" "$dir/postfix/log"
}
