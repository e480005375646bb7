# Installs the mail servers that tenma is compared with on Debian, as root, by
# the package clients as they are configured here: Postfix and OpenDKIM as
# packages; Exim and OpenSMTPD, which conflict with Postfix as packages, are only
# unpacked below $WORK; Haraka by npm. Nothing is started. What is there stays.
set -eu
export DEBIAN_FRONTEND=noninteractive
say() { echo "install: $*"; }
if [ ! -e /usr/sbin/policy-rc.d ]; then # no daemon starts by being installed
	printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
	chmod +x /usr/sbin/policy-rc.d
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
mkdir -p "$WORK/debs"

want=
for p in postfix opendkim libopensmtpd0 strace util-linux iproute2; do
	dpkg -s $p > /dev/null 2>&1 || want="$want $p"
done
if [ -n "$want" ]; then
	say "packages:$want"
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends $want > /dev/null
fi

cd "$WORK/debs"
for p in exim4-daemon-light opensmtpd opensmtpd-filter-dkimsign; do
	[ ! -d ../$p ] || continue
	say "unpacking $p below $WORK"
	apt-get download -qq $p
	dpkg -x ${p}_*.deb ../$p.part
	mv ../$p.part ../$p
done
mkdir -p "$WORK/opensmtpd-libexec"
cp "$WORK"/opensmtpd/usr/libexec/opensmtpd/* "$WORK"/opensmtpd-filter-dkimsign/usr/libexec/opensmtpd/* "$WORK/opensmtpd-libexec/"

# The users and mount points that the packages would have made.
for u in Debian-exim opensmtpd opensmtpq; do
	getent passwd $u > /dev/null || { say "user $u"; useradd -r -M -U -d /nonexistent -s /usr/sbin/nologin $u; }
done
chgrp opensmtpq "$WORK/opensmtpd/usr/sbin/smtpctl" && chmod 2755 "$WORK/opensmtpd/usr/sbin/smtpctl"
mkdir -p /etc/exim4 /usr/libexec/opensmtpd /var/spool/smtpd /var/lib/opensmtpd/empty
[ -e /etc/exim4/exim4.conf ] || touch /etc/exim4/exim4.conf

if [ ! -d "$WORK/haraka/node_modules/Haraka" ]; then
	if command -v npm > /dev/null; then
		say "Haraka by npm"
		mkdir -p "$WORK/haraka" && cd "$WORK/haraka"
		echo '{"name":"peer-haraka","private":true,"version":"1.0.0"}' > package.json
		npm install Haraka@3.1.1 --before 2026-01-15 --no-audit --no-fund --loglevel=error
	else
		say "no npm here: Haraka is left out"
	fi
fi
say "done, in $WORK"
