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

# soon COMMAND...: tries it until it holds, for ten seconds at most.
soon() {
    left=100
    until "$@" >/dev/null 2>&1; do left=$((left - 1)); [ $left != 0 ] || return 1; sleep 0.1; done
}

# bundle FOLDER CGROUP WHO: the same container as everybody's, whose program writes /held-WHO and stays.
bundle() {
    sed "s#\"first\"#\"hold\", \"/held-$3\"#; s#\"cgroupsPath\": \"/peer\"#\"cgroupsPath\": \"/$2\"#" \
        /bench/config.json >"$1/config.json"
    rm -f "$ROOT/held-$3"
}

# runs WHO: its container's program is there, by its command line.
runs() {
    for contained in $(pidof timer); do
        ! tr '\0' ' ' <"/proc/$contained/cmdline" | grep -q "hold /held-$1 " || return 0
    done
    return 1
}

# weigh WHO CONTAINER'S: the process whose number is in /tmp/WHO.pid: private and anonymous KiB, while that container
# runs; else the last that it said.
weigh() {
    # conmon's file has no line end, which read would take for a failure.
    pid=$(cat "/tmp/$1.pid")
    if soon [ -e "$ROOT/held-$2" ] && runs "$2" && [ -n "$pid" ] && [ -e "/proc/$pid/smaps_rollup" ]; then
        awk -v who="$1" '/^Private/ { sum += $2 } /^Anonymous/ { own = $2 } END { print "monitor", who, sum, own }' \
            "/proc/$pid/smaps_rollup"
    else
        said=$(tail -n 1 "/tmp/$1.err")
        echo "failed $1 ${said:-no container of it runs, and it said nothing}"
    fi
} 2>/dev/null

created() { $P/crun --cgroup-manager=cgroupfs state held | grep -q '"status": *"created"'; }
gone() { ! pidof "$1"; }

with_conmon() {
    bundle /bench/bundle peer conmon
    # Where the folder for its sockets can't be made it ends without a word, its error output closed: the one that it
    # knows is below /var/run, which a board does not have.
    mkdir -p /tmp/conmon
    $P/conmon -c held -u held -n held -b /bench/bundle -r $P/crun --runtime-arg --cgroup-manager=cgroupfs \
        --socket-dir-path /tmp/conmon -p /tmp/held.pid -P /tmp/conmon.pid -l k8s-file:/tmp/held.log
    # It is back before crun has made the container, and leaves the start to whoever called it.
    soon created || { echo "conmon made no container with crun within ten seconds, and does not say why"; return; }
    $P/crun --cgroup-manager=cgroupfs start held
} </dev/null >/tmp/conmon.err 2>&1

with_lxc() {
    rm -f $ROOT/held-lxc
    $P/lxc-execute -n held -f /bench/lxc.conf -- /bin/timer hold /held-lxc &
    echo $! >/tmp/lxc.pid
} </dev/null >/tmp/lxc.err 2>&1

# The daemon starts the shim, ctr asks it to. Kubernetes' part of it is left out, and nothing is to do with images.
with_containerd() {
    bundle /bench/hold shim shim
    printf '%s\n' 'version = 2' 'root = "/tmp/containerd"' 'state = "/run/containerd"' \
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]' >/tmp/containerd.toml
    $P/containerd --config /tmp/containerd.toml </dev/null >/tmp/containerd.err 2>&1 &
    echo $! >/tmp/containerd.pid
    soon [ -S /run/containerd/containerd.sock ] || { echo "containerd: $(tail -n 1 /tmp/containerd.err)"; return; }
    $P/ctr run --detach --config /bench/hold/config.json held
    pidof containerd-shim-runc-v2 >/tmp/shim.pid
} </dev/null >/tmp/shim.err 2>&1

# What others keep beside a container as long as it runs. One after the other: pages of a library that two of them have
# are private to neither. The last stays: the guest is of no more use.
monitors() {
    # What a program touched is counted, not what the kernel rounds that up to.
    echo never >/sys/kernel/mm/transparent_hugepage/enabled
    with_conmon; weigh conmon conmon
    $P/crun --cgroup-manager=cgroupfs delete --force held >/dev/null 2>&1
    soon gone conmon
    with_lxc; weigh lxc lxc
    kill "$(cat /tmp/lxc.pid)"
    soon gone lxc-execute
    with_containerd; weigh shim shim; weigh containerd shim
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
