# Runs in the guest, as `sh /bench/console STEP...`. What is measured goes to standard output, a line each.
KEYS=/bench/keys
BIG=/tmp/big
SIZE=8388608
# Twice through a terminal takes its time.
FLOW=2097152
POUCH=/bin/pouch
export LC_ALL=C.UTF-8 TERM=vt100
TMUX="/peers/bin/tmux -u -f /dev/null"

# All slots are somebody's, so that a session is on no terminal of the board's and its cost is its own.
slots() {
    for slot in tty0 tty1 tty2 tty3; do pouch start "at-$slot" --tty $slot -- /bin/sleep 100000 || return 1; done
}

# Who floods has the same program everywhere; what takes it away is the candidate, or for the bare shell a pipe.
flood() {
    turn=0
    while [ "$turn" -lt "$2" ]; do
        case $1 in
            pouch) pouch start "flood$turn" -- /bin/probe write ;;
            tmux) $TMUX new-window -d /bin/probe write ;;
            # A shell at once, so that nobody waits for them at the end.
            shell) (/bin/probe write | cat >/dev/null) & ;;
        esac
        turn=$((turn + 1))
    done >/dev/null 2>&1
}
dry() {
    case $1 in
        pouch) while [ "$turn" -gt 0 ]; do turn=$((turn - 1)); pouch destroy "flood$turn"; done >/dev/null 2>&1 ;;
        *) killall -9 probe ;;
    esac 2>/dev/null
}

keys() {
    case $1 in
        pouch)
            pouch start keys -- /bin/sh >/dev/null 2>&1
            flood pouch "$2"
            $KEYS type "$3" $POUCH connect keys
            dry pouch
            pouch destroy keys >/dev/null 2>&1
            ;;
        tmux)
            # A server that is there already: what it costs to start is not what is asked.
            $TMUX new-session -d -s keys -x 80 -y 24 /bin/sh || return 1
            flood tmux "$2"
            $KEYS type "$3" $TMUX attach -t keys
            $TMUX kill-server
            dry tmux
            ;;
        shell)
            flood shell "$2"
            $KEYS type "$3" /bin/sh
            dry shell
            ;;
    esac
}

# Reads with the shell alone: a process for each look would be measured too.
ended() {
    while :; do
        while read -r key value; do
            case "$key $value" in "STATE: ended") return 0 ;; esac
        done </run/pouch/cont_big || return 1
    done
}
# Nanoseconds would want a program; the kernel's clock has hundredths, and this takes seconds.
clock() { read -r clock _ </proc/uptime; }
# into NAME OPTIONS...: a container writes all of it, and nobody says when it began but this.
into() {
    name=$1; shift
    clock; begin=$clock
    pouch start big "$@" -- /bin/cat $BIG >/dev/null 2>&1 && ended
    clock
    pouch destroy big >/dev/null 2>&1
    echo "into $name $begin $clock"
}

case $1 in
    slots) slots ;;
    keys) shift; echo "$1 $2 $(keys "$@" 2>&1)" ;;
    big) yes 'a line of text for the ring, the terminal and the serial port' | head -c $SIZE >$BIG; cat $BIG >/dev/null ;;
    into) shift; into "$@" ;;
    bare) clock; begin=$clock; cat $BIG >"$2"; clock; echo "into $2 $begin $clock" ;;
    flow)
        echo "shell $($KEYS flow $FLOW /bin/sh -c "read -r go; cat $BIG")"
        pouch start big -- /bin/sh -c "read -r go; cat $BIG; sleep 100000" >/dev/null 2>&1
        echo "pouch $($KEYS flow $FLOW $POUCH connect big)"
        pouch destroy big >/dev/null 2>&1
        ;;
esac
