#!/bin/bash
# Boots a private systemd on a throw-away copy of this machine.
#
#   boot.sh CGROUP STATE KEEP...
#
# CGROUP is an empty cgroup2 directory, STATE an empty folder, KEEP the folders
# that stay visible inside, read-only, each as SOURCE or SOURCE:TARGET. Nothing written inside reaches the real
# machine: / is an overlay, /tmp, /var/tmp, /run, /root, /home and /dev are tmpfs, the network is its own loopback, and
# only the units written below and those that tests install exist, so nothing that cleans folders, loads modules or
# touches devices can be started. With VENDOR_UNITS=yes a package may bring units too. STATE/upper holds what was written to the disk; a STATE.tar made of it
# is a disk to boot from again. Ends when its systemd ends.
set -euo pipefail

if [ "${STAGE:-}" != inside ]; then
    echo $$ > "$1/cgroup.procs"
    # Dies with the caller, and everything inside dies with it.
    STAGE=inside exec setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount --propagation private \
        --uts --ipc --net --cgroup "$0" "$@"
fi
state=$2
shift 2

mount -t tmpfs -o mode=755 tmpfs "$state"
mkdir "$state"/{upper,work,root}
root=$state/root
[ ! -e "$state.tar" ] || tar --extract --xattrs --xattrs-include='*' --directory "$state/upper" --file "$state.tar"
mount -t overlay -o "lowerdir=/,upperdir=$state/upper,workdir=$state/work" overlay "$root"
if [ ! -e "$state.tar" ]; then
    rm -r "$root/etc/systemd/system"
    mkdir "$root/etc/systemd/system"
fi

for dir in tmp var/tmp; do mount -t tmpfs -o mode=1777 tmpfs "$root/$dir"; done
for dir in run root home dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$dir"; done
for keep in "$@"; do
    source=${keep%%:*} target=$root${keep##*:}
    mkdir -p "$target"
    mount --bind "$source" "$target"
    mount -o remount,bind,ro "$target"
done

mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
# shellcheck disable=SC2046  # two numbers
mknod -m 600 "$root/dev/cpu_dma_latency" c $(stat --format '0x%t 0x%T' /dev/cpu_dma_latency)
mkdir "$root"/dev/{shm,pts}
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

units=$root/run/systemd/system
mkdir -p "$units/default.target.wants" "$root/run/systemd/journald.conf.d"
for target in sysinit basic sockets paths timers shutdown network multi-user default; do
    printf '[Unit]\nDefaultDependencies=no\n' > "$units/$target.target"
done
cp /usr/lib/systemd/system/systemd-journald{.service,.socket,-dev-log.socket} "$units"
unit_path=/etc/systemd/system:/run/systemd/system
if [ "${VENDOR_UNITS:-}" = yes ]; then
    rm -r "$root/usr/lib/systemd/system"
    mkdir "$root/usr/lib/systemd/system"
    unit_path=$unit_path:/usr/lib/systemd/system
fi
for unit in systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket; do
    ln -s "../$unit" "$units/default.target.wants/$unit"
done
ln -s ../multi-user.target "$units/default.target.wants/multi-user.target"
printf '[Journal]\nStorage=volatile\nAudit=no\n' > "$root/run/systemd/journald.conf.d/test.conf"
echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"

exec env -i container=actd-test PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    SYSTEMD_UNIT_PATH=$unit_path \
    SYSTEMD_GENERATOR_PATH=/nonexistent SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/nonexistent \
    chroot "$root" /usr/lib/systemd/systemd --system --unit=default.target < /dev/null
