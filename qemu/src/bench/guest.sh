# Runs in the guest, as `sh /bench/guest STEP`. A timed loop stands between two marks in the kernel's log, whose
# clock has microseconds; a mark is made by the shell itself, without a process.
ROOT=/srv/web

mark() { echo "<7>bench: $*" >/dev/kmsg; }

# timed NAME COUNT COMMAND...: the command gets the number of its turn; a failure ends the loop and is said.
timed() {
    name=$1 count=$2 turn=0
    shift 2
    mark "$name begin $count"
    while [ "$turn" -lt "$count" ]; do
        "$@" "$turn" >/dev/null 2>/tmp/said </dev/null ||
            { mark "$name failed: status $?: $(head -n 1 /tmp/said)"; return; }
        turn=$((turn + 1))
    done
    mark "$name end"
}

start() { pouch start "b$1" $ROOT --tty none -- /bin/true; }
run() { pouch run "x$1" $ROOT --tty none -- /bin/true; }
hold() { pouch start "r$1" $ROOT --tty none -- /bin/sleep 1000; }
full() { pouch start "r$1" $ROOT --tty none -- /bin/sh -c 'yes | head -c 20000; exec sleep 1000'; }
destroy() { pouch destroy "b$1"; }
stop() { pouch destroy "r$1"; }
unshared() { unshare -m -u -i -n -p -f chroot $ROOT /bin/true; }
list() { pouch list; }
chrooted() { chroot $ROOT /bin/true; }

# Namespaces are torn down by the kernel's workers, after the command that held them: not in the next loop's time.
settle() { usleep 200000; }

processes() { read -r _ _ _ all _ </proc/loadavg; all=${all#*/}; }
# Zombies count as processes until they are reaped; the kernel's own workers come and go, hence the ten.
orphans() {
    processes; before=$((all + 10))
    probe orphans $1 $2 || return 1
    processes
    while [ "$all" -gt "$before" ]; do processes; done
}

# many COMMAND COUNT: untimed.
many() {
    turn=0
    while [ "$turn" -lt "$2" ]; do "$1" "$turn" >/dev/null || return 1; turn=$((turn + 1)); done
}

case $1 in
    containers)
        # What is cold the first time is not what is compared.
        many start 2; many unshared 2; many chrooted 2; many destroy 2
        for block in 1 2 3; do
            settle; timed start 10 start
            settle; timed unshare 10 unshared
            settle; timed chroot 10 chrooted
            timed destroy 10 destroy
            settle; many hold 10; settle
            timed stop 10 stop
        done
        settle; timed run 10 run
        ;;
    hold | full)
        many "$1" "$2"
        # Every one of them is what it ends as.
        while [ "$(pidof sleep | wc -w)" != "$2" ]; do :; done
        settle
        ;;
    drop) many stop "$2" ;;
    orphans)
        timed "$2orphans" 1 orphans 2000 250
        timed "$2burst" 1 orphans 10000 10000
        ;;
    reap)
        if [ "$2" = load ]; then
            for busy in 1 2 3 4; do probe spin & set -- "$@" $!; done
        fi
        /bench/timer reap 100
        shift 2
        [ $# = 0 ] || kill "$@"
        ;;
    # From `since` containers to `upto`, then the list ten times.
    grow)
        since=$2 upto=$3 turn=$2
        grow() { pouch start "r$turn" $ROOT --tty none -- /bin/sleep 1000; }
        mark "start.$upto begin $((upto - since))"
        while [ "$turn" -lt "$upto" ]; do
            grow >/dev/null || { mark "start.$upto failed: status $?"; exit 1; }
            turn=$((turn + 1))
        done
        mark "start.$upto end"
        timed "list.$upto" 10 list
        ;;
    shrink)
        since=$2 upto=$3 turn=$2
        mark "stop.$since begin $((since - upto))"
        while [ "$turn" -gt "$upto" ]; do
            turn=$((turn - 1))
            pouch destroy "r$turn" >/dev/null || { mark "stop.$since failed: status $?"; exit 1; }
        done
        mark "stop.$since end"
        ;;
esac
