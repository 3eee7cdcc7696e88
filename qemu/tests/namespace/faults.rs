//! Every system call of PID 1 and of a launch fails once, with errors that it can have
//!
//! strace makes the n-th call fail while a container is started, listed and destroyed. Whatever comes of that
//! start: PID 1 goes on, says in one line what failed, the next start succeeds, and nothing is left over.

use crate::Fresh;
use pouch_qemu::bed::{Namespace, beside};
use pouch_qemu::{Context, Error, Result};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The most calls of one name that are made to fail, one at a time.
const EACH: usize = 3;
/// What one command inside may take before PID 1 counts as hung.
const COMMAND: Duration = Duration::from_secs(60);
/// PID 1 takes no memory while it works; pages of its tables, its code and its stack come as they are touched. In KiB.
const GROWN: u64 = 128;
/// What clean-up may take once all is done.
const SETTLED: Duration = Duration::from_secs(20);

/// Errors that a call can have, the one that most callers forget first; any other call gets ENOMEM.
const ERRORS: &[(&str, &[&str])] = &[
    ("accept4", &["EMFILE", "ECONNABORTED"]),
    ("bind", &["EADDRINUSE", "ENOSPC"]),
    ("clone3", &["EAGAIN", "ENOSPC"]),
    ("epoll_ctl", &["ENOSPC", "ENOMEM"]),
    ("epoll_pwait", &["EINTR"]),
    ("epoll_wait", &["EINTR"]),
    ("fchown", &["EROFS"]),
    ("fsconfig", &["EINVAL"]),
    ("fsopen", &["ENODEV"]),
    ("fsmount", &["EMFILE"]),
    ("getsockopt", &["ENOBUFS"]),
    ("ioctl", &["EIO"]),
    ("mkdirat", &["ENOSPC", "EEXIST"]),
    ("mkdir", &["ENOSPC"]),
    ("mknodat", &["EPERM"]),
    ("mount", &["EBUSY"]),
    ("mount_setattr", &["EINVAL"]),
    ("move_mount", &["ENOENT"]),
    ("open", &["EMFILE"]),
    ("open_tree", &["EMFILE"]),
    ("openat", &["EMFILE", "ENOSPC"]),
    ("openat2", &["EMFILE", "EAGAIN"]),
    ("pidfd_open", &["EMFILE"]),
    ("pidfd_send_signal", &["EPERM"]),
    ("pipe2", &["EMFILE"]),
    ("pivot_root", &["EINVAL"]),
    ("read", &["EIO", "EAGAIN"]),
    ("readlinkat", &["EACCES"]),
    ("recvmsg", &["ECONNRESET"]),
    ("renameat", &["ENOSPC"]),
    ("rmdir", &["EBUSY"]),
    ("sendmsg", &["EPIPE", "EAGAIN"]),
    ("sendto", &["EPIPE"]),
    ("socket", &["EMFILE"]),
    ("symlinkat", &["ENOSPC"]),
    ("umount2", &["EBUSY"]),
    ("unlinkat", &["EROFS"]),
    ("unlink", &["EROFS"]),
    ("wait4", &["EINTR"]),
    ("waitid", &["EINTR"]),
    ("write", &["ENOSPC", "EAGAIN"]),
];

/// Calls that cannot fail, and close, which the kernel does in any case, but strace leaves out for the error.
const NEVER: &[&str] = &[
    "close",
    "exit",
    "exit_group",
    "getpid",
    "gettid",
    "getuid",
    "geteuid",
    "getppid",
    "getpgrp",
    "getpgid",
    "umask",
    "clock_gettime",
    "rt_sigreturn",
    "restart_syscall",
    "brk",
    "arch_prctl",
    "set_tid_address",
    "execve",
    "sched_yield",
    "fork",
    "vfork",
];

const START: &str = "pouch start fi --tty none --stop-timeout 0.1 -- /bin/true; echo \"rc $?\"";

/// The same where the first process is made by one that ends before it begins.
const USERS: &str = "pouch start fi --userns --tty none --stop-timeout 0.1 -- /bin/true; echo \"rc $?\"";

pub fn every_call_that_fails_once_costs_nothing(fresh: &mut Fresh) -> Result<()> {
    each_call(fresh, START)
}

pub fn every_call_that_fails_once_costs_nothing_with_users_of_its_own(fresh: &mut Fresh) -> Result<()> {
    each_call(fresh, USERS)
}

pub fn where_nothing_judges_devices_no_node_that_is_brought_along_is_of_use(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    namespace.serial().reach_prompt()?;
    let pid = namespace.init_pid()?;
    inside(pid, "mkdir -p /srv/nodes; mknod -m 666 /srv/nodes/zero c 1 5")?;
    let tracer = Tracer::attach(pid, &["-f", "-o", "/dev/null", "-e", "inject=bpf:error=ENOSYS"])?;
    let started = inside(pid, "pouch start un --mount /srv/nodes:/mnt -- /bin/probe hold");
    tracer.let_go()?;
    assert!(started?.contains("un starting"));
    let tries = "for node in /mnt/zero /srv/nodes/zero /dev/zero /dev/console /dev/ptmx; do \
        pouch exec un sh -c \"exec 3<>$node\" </dev/null >/dev/null 2>&1; echo $?; done";
    assert_eq!(inside(pid, tries)?.split_whitespace().collect::<Vec<_>>(), ["1", "1", "0", "0", "0"]);
    inside(pid, "pouch destroy un")?;
    Ok(())
}

fn each_call(fresh: &mut Fresh, start: &str) -> Result<()> {
    let mut namespace = fresh.start("")?;
    namespace.serial().reach_prompt()?;
    let pid = namespace.init_pid()?;
    // Twice, so that what is made once for good (a folder, a module) is there.
    for _ in 0..2 {
        inside(pid, &format!("{start}; pouch destroy fi"))?;
    }
    let mut plain = left(pid)?;
    let memory = resident(pid)?;
    let mut wrong = Vec::new();
    let calls = calls_of_a_cycle(pid, start)?;
    if calls.len() < 20 {
        return Err(Error::new(format!("strace saw too little: {calls:?}")));
    }
    let (mut cases, mut refused, mut last) = (0, 0, Instant::now());
    for (call, count) in &calls {
        let errors = ERRORS.iter().find(|(name, _)| name == call).map_or(&["ENOMEM"][..], |(_, errors)| errors);
        for error in errors {
            for at in 1..=(*count).min(EACH) {
                let case = format!("{call}:error={error}:when={at}");
                let answer = with_fault(pid, start, &case, &mut namespace)?;
                refused += usize::from(!answer.contains("rc 0"));
                // All of them are wanted at once; what has leaked is the next one's plain.
                if let Err(error) = judge(pid, &case, &answer, &plain) {
                    wrong.push(error.to_string());
                    plain = left(pid)?;
                }
                cases += 1;
                if last.elapsed() > Duration::from_secs(20) {
                    eprintln!("   {cases} faults so far, now {call}");
                    last = Instant::now();
                }
            }
        }
    }
    eprintln!("   {cases} faults in {} calls, {refused} of the starts were refused", calls.len());
    if !wrong.is_empty() {
        return Err(Error::new(wrong.join("\n")));
    }
    let grown = resident(pid)?.saturating_sub(memory);
    if grown > GROWN {
        return Err(Error::new(format!("PID 1 has {grown} KiB more than the {memory} before {cases} faults")));
    }
    if refused < 20 {
        return Err(Error::new(format!("only {refused} of {cases} faults were felt: the injection does not bite")));
    }
    assert_eq!(namespace.serial().run("echo $((6 * 7))")?, "42", "the prompt lives");
    Ok(())
}

pub fn without_a_descriptor_left_pid_1_says_busy_and_goes_on(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    namespace.serial().reach_prompt()?;
    let pid = namespace.init_pid()?;
    inside(pid, &format!("{START}; pouch destroy fi"))?;
    let plain = left(pid)?;
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    for more in 0..14 {
        limit(pid, &format!("--nofile={}:4096", open + more))?;
        let answer = inside(pid, &format!("{START}; pouch list; pouch destroy fi"))?;
        limit(pid, "--nofile=1024:4096")?;
        for line in answer.lines() {
            let known = ["Pouch: ", "Pouch containers:", "rc ", "1. fi : "].iter().any(|start| line.starts_with(start));
            if !known {
                return Err(Error::new(format!("with {more} descriptors left: {answer}")));
            }
        }
        judge(pid, &format!("{more} descriptors left"), "Pouch: \n", &plain)?;
    }
    assert_eq!(namespace.serial().run("echo $((6 * 7))")?, "42", "the prompt lives");
    Ok(())
}

/// What PID 1 cannot have for as long as the tracer is there, and its limits of address space then.
const SHORTAGES: &[(&str, &str, Option<&str>)] = &[
    ("no process", "clone,clone3,fork,vfork:error=EAGAIN", None),
    ("no place in the PID namespace", "clone,clone3,fork,vfork:error=ENOSPC", None),
    (
        "no memory of the kernel's",
        "clone,clone3,fork,vfork,mmap,brk,socket,pipe2,mkdirat,memfd_create:error=ENOMEM",
        None,
    ),
    ("no address space", "sched_yield:error=EPERM", Some("8192:unlimited")),
];

pub fn without_processes_or_memory_a_start_is_refused_and_nothing_else(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    namespace.serial().reach_prompt()?;
    let pid = namespace.init_pid()?;
    inside(pid, &format!("{START}; pouch destroy fi"))?;
    let plain = left(pid)?;
    for (shortage, inject, space) in SHORTAGES {
        inside(pid, "pouch start old --tty none -- /bin/probe hold")?;
        let inject = format!("inject={inject}");
        if let Some(space) = space {
            limit(pid, &format!("--as={space}"))?;
        }
        let tracer = Tracer::attach(pid, &["-o", "/dev/null", "-e", &inject])?;
        // One that is restarted for ever tries again later, and others answer meanwhile.
        let answer = inside(pid, &format!("{START}; pouch restart old; pouch list"))?;
        tracer.let_go()?;
        limit(pid, "--as=unlimited:unlimited")?;
        let mut lines = answer.lines();
        let (said, status) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        // Without address space the command is executed, and the kernel ends it there.
        let refused = said.starts_with("Pouch: fi: ") && status != "rc 0";
        if !(refused || space.is_some()) || !answer.contains("Pouch containers:\n") {
            return Err(Error::new(format!("{shortage}: {answer}")));
        }
        // The one that was there before is started by the next one who asks.
        let again = inside(pid, "pouch restart old; grep -c 'STATE: started' /run/pouch/cont_old; pouch destroy old")?;
        if !again.contains("1\nPouch: old destroyed") {
            return Err(Error::new(format!("{shortage}: {again}")));
        }
        judge(pid, shortage, "Pouch: \n", &plain)?;
    }
    assert_eq!(namespace.serial().run("echo $((6 * 7))")?, "42", "the prompt lives");
    Ok(())
}

pub fn a_full_run_folder_costs_a_file_and_no_more(fresh: &mut Fresh) -> Result<()> {
    let mut namespace = fresh.start("")?;
    namespace.serial().reach_prompt()?;
    let pid = namespace.init_pid()?;
    inside(pid, "mount -o remount,size=64k /run")?;
    inside(pid, &format!("{START}; pouch destroy fi"))?;
    let plain = left(pid)?;
    inside(pid, "dd if=/dev/zero of=/run/fill bs=1k 2>/dev/null")?;
    let answer = inside(pid, &format!("{START}; pouch destroy fi"))?;
    inside(pid, "rm /run/fill")?;
    if !answer.starts_with("Pouch: fi ") {
        return Err(Error::new(answer));
    }
    judge(pid, "full /run", "Pouch: \n", &plain)
}

/// One of PID 1's limits, soft and hard, in prlimit's words.
fn limit(pid: i32, words: &str) -> Result<()> {
    let status = Command::new("prlimit").args(["--pid", &pid.to_string(), words]).status();
    let status = status.context(|| "prlimit (Debian package util-linux)")?;
    if status.success() { Ok(()) } else { Err(Error::new(format!("prlimit: {status}"))) }
}

/// The names of the calls that PID 1 and a launch make in one cycle, and how often.
fn calls_of_a_cycle(pid: i32, start: &str) -> Result<BTreeMap<String, usize>> {
    let out = std::env::temp_dir().join(format!("pouch-calls-{pid}"));
    let path = out.display().to_string();
    let tracer = Tracer::attach(pid, &["-f", "-o", &path])?;
    inside(pid, &format!("{start}; pouch list; pouch logs fi; pouch destroy fi"))?;
    tracer.let_go()?;
    let text = std::fs::read_to_string(&out)?;
    let _ = std::fs::remove_file(&out);
    let (mut calls, mut programs) = (BTreeMap::new(), Vec::new());
    for line in text.lines() {
        let Some((task, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let Some((name, _)) = rest.split_once('(') else { continue };
        // Behind execve it is the contained program that calls.
        if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !programs.contains(&task)
            && !NEVER.contains(&name)
        {
            *calls.entry(name.to_owned()).or_insert(0) += 1;
        }
        if name == "execve" {
            programs.push(task);
        }
    }
    Ok(calls)
}

/// Starts a container while one call fails: what the command said.
fn with_fault(pid: i32, start: &str, case: &str, namespace: &mut Namespace) -> Result<String> {
    let inject = format!("inject={case}");
    let tracer = Tracer::attach(pid, &["-f", "-o", "/dev/null", "-e", &inject])?;
    let answer = inside(pid, start);
    tracer.let_go()?;
    answer.map_err(|error| namespace.serial().failure(&format!("{case}: {error}")))
}

/// After each fault: PID 1 answers, refusals have words, the next start succeeds, nothing is left.
fn judge(pid: i32, case: &str, answer: &str, plain: &str) -> Result<()> {
    let wrong = |what: &str, seen: &str| Err(Error::new(format!("{case}: {what}\n{answer}\n{seen}")));
    let words = answer.lines().filter(|line| !line.starts_with("rc ")).count();
    if words != 1 || !(answer.starts_with("Pouch: ") || answer.starts_with("pouch: ")) {
        return wrong("a start says one line", "");
    }
    let limit = Instant::now() + SETTLED;
    let again = inside(pid, &format!("pouch destroy fi 2>/dev/null; {START}; pouch destroy fi"))?;
    if !again.contains("rc 0") {
        return wrong("the next start succeeds", &again);
    }
    loop {
        let now = left(pid)?;
        if now == plain {
            return Ok(());
        }
        if Instant::now() > limit {
            return wrong("nothing is left over", &format!("before:\n{plain}\nafter:\n{now}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What could leak: PID 1's descriptors, mounts, sockets' files, processes, cgroups, containers.
fn left(pid: i32) -> Result<String> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mounts"))?.lines().count();
    let seen =
        inside(pid, "ls /run/pouch; ls /sys/fs/cgroup/pouch 2>/dev/null; set -- /proc/[0-9]*; echo $#; pouch list")?;
    Ok(format!("{descriptors} descriptors, {mounts} mounts\n{seen}"))
}

/// PID 1's resident memory, in KiB.
fn resident(pid: i32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().map_err(|_| Error::new(format!("no VmRSS in {status}")))
}

/// Runs a line of shell beside PID 1, in all its namespaces; what it printed, errors included.
fn inside(pid: i32, line: &str) -> Result<String> {
    let mut child = beside(pid, &format!("exec 2>&1; {line}"))
        .stdout(Stdio::piped())
        .spawn()
        .context(|| "nsenter (Debian package util-linux)")?;
    wait(&mut child, COMMAND).context(|| format!("{line}: PID 1 does not answer"))?;
    let mut text = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut text)?;
    }
    Ok(text)
}

fn wait(child: &mut Child, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::new(format!("not within {} s", limit.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// strace on PID 1, attached and ready.
struct Tracer(Child);

impl Tracer {
    fn attach(pid: i32, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new("strace")
            .args(arguments)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context(|| "strace (Debian package strace)")?;
        let errors = child.stderr.take().ok_or_else(|| Error::new("strace has no standard error"))?;
        let mut lines = BufReader::new(errors);
        let mut line = String::new();
        while !line.contains("attached") {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err(Error::new("strace could not attach to PID 1"));
            }
        }
        // What it says later (processes that come and go) must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(Self(child))
    }

    fn let_go(mut self) -> Result<()> {
        let pid = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::new("strace is gone"))?;
        rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        wait(&mut self.0, COMMAND).context(|| "strace does not let go")
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
