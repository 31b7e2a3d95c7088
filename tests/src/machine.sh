# Becomes process 1 of a machine: this host's root under an overlay in memory, so that nothing done in it lasts; and systemd in it,
# with the units of its packages and none that the host's administrator enabled. Run by `unshare` with namespaces of its own.
# $1: an empty directory to build it on.
set -e
root=$1/root
mount --make-rprivate /
mount -t tmpfs machine "$1"
mkdir "$1/upper" "$1/work" "$root"
mount -t overlay machine -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
mount -t proc proc "$root/proc"
# Settings of the kernel are the host's, too.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for directory in run tmp dev etc/systemd/system; do
    mkdir -p "$root/$directory"
    mount -t tmpfs machine "$root/$directory"
done
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/run/host"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
: >"$root/dev/console"
cd "$root"
pivot_root . run/host
umount -l run/host
exec env -i container=machine PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot . /lib/systemd/systemd --system --unit=basic.target </dev/null >/dev/null 2>&1
