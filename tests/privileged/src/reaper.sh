#!/bin/sh
# Ends one engine under test and everything it left, when the pipe on stdin closes: on Drop, or when the
# test process has died in whatever way. Touches only what carries this engine's private directory or bridge.
# usage: reaper.sh DIRECTORY BRIDGE
dir=$1 bridge=$2 socket=$1/engine.sock
cat >/dev/null
[ -n "$KEEP" ] && exit 0
DOCKER_HOST=unix://$socket HOME=$dir/home
export DOCKER_HOST HOME
pid=$(cat "$dir/daemon.pid" 2>/dev/null)
if [ -n "$pid" ] && [ -d "/proc/$pid" ]; then
  ids=$(timeout 10 docker ps -aq 2>/dev/null)
  # shellcheck disable=SC2086
  [ -n "$ids" ] && timeout 60 docker rm -fv $ids >/dev/null 2>&1
  # Networks have bridges and rules of their own on the machine.
  timeout 30 docker network prune -f >/dev/null 2>&1
  kill "$pid" 2>/dev/null
  for _ in $(seq 150); do [ -d "/proc/$pid" ] || break; grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null && break; sleep 0.1; done
fi
# Containers of an engine that is no longer there to remove them: processes named after, or mounted from, our directory.
own=$(readlink /proc/self/ns/mnt)
for p in /proc/[0-9]*; do
  n=${p#/proc/}
  [ "$n" = "$$" ] && continue
  if tr '\0' '\n' <"$p/cmdline" 2>/dev/null | grep -qF "$dir/"; then kill -9 "$n" 2>/dev/null; continue; fi
  [ "$(readlink "$p/ns/mnt" 2>/dev/null)" = "$own" ] && continue
  # What lies below our directory as a mount point alone was copied with somebody else's new mount namespace.
  awk -v d="$dir/" '{ $5 = "" } index($0, d) { found = 1 } END { exit !found }' "$p/mountinfo" 2>/dev/null && kill -9 "$n" 2>/dev/null
done
sleep 0.1
ids=$(ls "$dir/data/containers" 2>/dev/null)
awk '{print $5}' /proc/self/mountinfo | grep -F "$dir/" | sort -r | while read -r mount; do umount -l "$mount" 2>/dev/null; done
for id in $ids; do find /sys/fs/cgroup -depth -type d -name "*$id*" -exec rmdir {} + 2>/dev/null; done
if ip link show "$bridge" >/dev/null 2>&1; then ip link del "$bridge"; fi
nft list tables 2>/dev/null | grep -E "_$bridge(_of_.*|_passed)?\$" | while read -r _ family name; do nft delete table "$family" "$name"; done
if command -v iptables-save >/dev/null; then
  for table in nat filter; do
    iptables-save -t $table 2>/dev/null | grep -E -- "(-[io] $bridge( |\$)|-s ${SUBNET:-none} )" | sed 's/^-A/-D/' |
      while read -r rule; do echo "$rule" | xargs iptables -w -t $table 2>/dev/null; done
  done
fi
rm -rf "$dir"
