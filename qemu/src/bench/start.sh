# Runs in the guest, as `sh /bench/start STEP ROUNDS GAP`: what starts a container from a directory, in turn.
# Each line of answers is the timer's: `run NAME MICROSECONDS-TO-FIRST-INSTRUCTION MICROSECONDS-TO-END`.
ROOT=/srv/web
FIRST=$ROOT/first
P=/peers/bin
T=/bench/timer
export PATH=$P:$PATH HOME=/root

prepare() {
    [ -e $ROOT/bin/timer ] || cp $T $ROOT/bin/timer
    mkdir -p $ROOT/sys/fs /bench/bundle /bench/hold
    cp /bench/config.json /bench/bundle/config.json 2>/dev/null
    # The floor's and the peers' cgroups have the limits that pouch's have.
    echo +memory +pids >/sys/fs/cgroup/cgroup.subtree_control
}

# What is compared, one argument each: a name's words, and behind @@ what is to be tidied up.
ours() {
    limits="--memory.max 64M --pids.max 64"
    # A machine whose memory the older cgroups count has none here, nor has the floor then.
    grep -q memory /sys/fs/cgroup/cgroup.controllers || limits=
    set -- "$@" @pouch-run /bin/pouch run r% $ROOT --tty none $limits -- /bin/timer first
    set -- "$@" @pouch-bare /bin/pouch run r% $ROOT --tty none --seccomp off $limits -- /bin/timer first
    set -- "$@" @pouch-start /bin/pouch start s% $ROOT --tty none $limits -- /bin/timer first
    set -- "$@" @@ /bin/pouch destroy s%
    set -- "$@" @floor /bench/floor /sys/fs/cgroup/floor% $ROOT /bin/timer first
    set -- "$@" @floor-filter /bench/floor +/bench/filter /sys/fs/cgroup/floor% $ROOT /bin/timer first
    set -- "$@" @busybox /usr/bin/unshare -m -u -i -n -p -f chroot $ROOT /bin/timer first
    if [ -d $P ]; then
        set -- "$@" @unshare $P/unshare --mount --uts --ipc --net --pid --cgroup --fork --root=$ROOT /bin/timer first
        set -- "$@" @bwrap $P/bwrap --unshare-pid --unshare-uts --unshare-ipc --unshare-net --unshare-cgroup --hostname b
        set -- "$@" --bind $ROOT / --proc /proc --dev /dev --cap-drop ALL /bin/timer first
        set -- "$@" @crun $P/crun --cgroup-manager=cgroupfs run --bundle /bench/bundle c%
        set -- "$@" @runc $P/runc run --bundle /bench/bundle c%
        set -- "$@" @lxc $P/lxc-execute -n l% -f /bench/lxc.conf -- /bin/timer first
    fi
    $T turns "$ROUNDS" "$GAP" $FIRST "$@"
}

# A command in a container that runs: ours and crun's each in their own, the others in ours.
join() {
    pouch start joined $ROOT --tty none -- /bin/timer hold /held >/dev/null
    pid=$(sed -n 's/^PID: //p' /run/pouch/cont_joined)
    set -- @pouch-exec /bin/pouch exec joined -- /bin/timer first
    set -- "$@" @busybox-nsenter /usr/bin/nsenter -t "$pid" -m -u -i -n -p -r /bin/timer first
    if [ -d $P ]; then
        set -- "$@" @nsenter $P/nsenter --target "$pid" --all --root /bin/timer first
        sed 's/"first"/"hold", "\/held"/; s#"cgroupsPath": "/peer"#"cgroupsPath": "/held"#' /bench/config.json >/bench/hold/config.json
        for peer in crun runc; do
            sed "s#/held#/held-$peer#g" /bench/hold/config.json >/bench/bundle/config.json
            $P/$peer run --detach --bundle /bench/bundle $peer >/dev/null </dev/null 2>&1
            set -- "$@" @$peer-exec $P/$peer exec $peer /bin/timer first
        done
    fi
    $T turns "$ROUNDS" "$GAP" $FIRST "$@"
    for peer in crun runc; do [ ! -d $P ] || $P/$peer delete --force $peer; done
    pouch destroy joined
    cp /bench/config.json /bench/bundle/config.json
} 2>/dev/null

# From a directory, from an image, on the host's root; the first instruction's file lies where the root is.
kinds() {
    mkdir -p /bench/kept /tmp/image/bin /tmp/image/kept
    cp $T /tmp/image/bin/timer
    pouch import bench /tmp/image >/dev/null
    $T turns "$ROUNDS" "$GAP" $FIRST @directory /bin/pouch run r% $ROOT --tty none -- /bin/timer first
    # What it writes goes to a folder of the host's, since the overlay's own goes with it.
    $T turns "$ROUNDS" "$GAP" /bench/kept/first @overlay /bin/pouch run r% bench --tty none \
        --mount /bench/kept:/kept -- /bin/timer first /kept/first
    $T turns "$ROUNDS" "$GAP" /bench/kept/first @host /bin/pouch run r% --tty none -- /bench/timer first /bench/kept/first
}

many() {
    $T turns "$ROUNDS" 0 $FIRST @row /bin/pouch run r% $ROOT --tty none -- /bin/timer first |
        awk '/^run/ { sum += $4; count += 1 } END { print "row", count, sum, 0 }'
    $T burst 64 $FIRST /bin/pouch run m% $ROOT --tty none -- /bin/timer first
}

# What others keep beside a container as long as it runs: the private memory of that process.
monitors() {
    sed 's#"first"#"hold", "/held-conmon"#' /bench/config.json >/bench/bundle/config.json
    rm -f $ROOT/held-*
    $P/conmon -c held -u held -n held -b /bench/bundle -r $P/crun --runtime-arg --cgroup-manager=cgroupfs \
        -p /tmp/held.pid -P /tmp/conmon.pid -l k8s-file:/tmp/held.log </dev/null >/tmp/conmon.err 2>&1
    $P/crun --cgroup-manager=cgroupfs start held </dev/null >>/tmp/conmon.err 2>&1
    $P/lxc-execute -n held -f /bench/lxc.conf -- /bin/timer hold /held-lxc </dev/null >/tmp/lxc.err 2>&1 &
    echo $! >/tmp/lxc.pid
    for who in conmon lxc; do
        turn=0
        until [ -e $ROOT/held-$who ] || [ $turn = 100 ]; do turn=$((turn + 1)); sleep 0.1; done
        if [ $turn = 100 ] || ! read -r pid </tmp/$who.pid; then
            echo "failed $who $(tail -n 1 /tmp/$who.err)"
        else
            awk -v who=$who '/^Private/ { sum += $2 } END { print "monitor", who, sum }' /proc/"$pid"/smaps_rollup
        fi
    done
    $P/crun --cgroup-manager=cgroupfs delete --force held >/dev/null 2>&1
    kill "$(cat /tmp/lxc.pid)"
    cp /bench/config.json /bench/bundle/config.json
}

# One launch, as the kernel's trace has it: calls, forks, programs.
trace() {
    tracing=/sys/kernel/tracing
    if [ ! -e $tracing/trace ]; then
        mount -t tracefs tracefs $tracing || exit 1
        echo 2000 >$tracing/buffer_size_kb
        # The kernel's quick clock counts ticks where the processor's is not trusted.
        echo mono >$tracing/trace_clock
        echo 1 >$tracing/events/raw_syscalls/sys_enter/enable
        for event in sched_process_exec sched_process_fork; do echo 1 >$tracing/events/sched/$event/enable; done
        echo 0 >$tracing/tracing_on
        /bin/pouch run warm $ROOT --tty none -- /bin/timer first
    fi
    echo >$tracing/trace
    echo 1 >$tracing/tracing_on
    /bin/pouch run traced $ROOT --tty none --memory.max 64M --pids.max 64 -- /bin/timer first </dev/null >/dev/null 2>&1
    echo 0 >$tracing/tracing_on
    # A line that begins with # looks like a prompt.
    grep -v '^#' $tracing/trace | cut -c1-130
}

STEP=$1 ROUNDS=$2 GAP=$3
prepare
case $STEP in
    containers) ours ;;
    join | kinds | many | monitors | trace) $STEP ;;
esac
