/* The floor: what the kernel alone takes to start a container.
 *
 * floor [+FILTER] CGROUP ROOT COMMAND...: pid, mount, uts, ipc, net and cgroup namespaces by one clone3 that begins in the
 * cgroup, a limit, the mounts, pivot_root, /dev's nodes, the masks, the capabilities, execve; then the end is waited
 * for and the cgroup removed. The same system calls as pouch makes for `run`, in the same order, and nothing else:
 * no request is read, nobody is told, nothing is cleaned up that the kernel cleans up. FILTER holds a filter of system
 * calls, struct sock_filter after struct sock_filter: pouch's own. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(long answer, const char *what) {
    if (answer < 0) {
        perror(what);
        _exit(1);
    }
}

static void set(int folder, const char *file, const char *value) {
    int fd = openat(folder, file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return; /* a controller that is not there */
    must(fd, file);
    must(write(fd, value, strlen(value)), file);
    close(fd);
}

#define RO (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define SAFE (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const char *const READ_ONLY[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
static const char *const HIDDEN[] = {"proc/kcore", "proc/keys", "proc/timer_list", "proc/interrupts"};
static const char *const EMPTY[] = {"proc/acpi", "proc/scsi", "sys/firmware"};
static const struct {
    const char *name;
    int minor;
} NODES[] = {{"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}};

static struct sock_filter instructions[BPF_MAXINSNS];
static struct sock_fprog filter = {.filter = instructions};

static void contained(const char *cgroup, const char *root, char **command) {
    char path[64];
    set(AT_FDCWD, "/proc/self/oom_score_adj", "500");
    int up = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    must(ioctl(up, SIOCSIFFLAGS, &lo), "lo");
    close(up);
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    must(mount(root, root, NULL, MS_BIND | MS_REC, NULL), "bind");
    must(chdir(root), "chdir");
    must(mount("proc", "proc", "proc", SAFE, NULL), "proc");
    must(mount("sysfs", "sys", "sysfs", RO, NULL), "sysfs");
    must(mount(cgroup, "sys/fs/cgroup", NULL, MS_BIND, NULL), "cgroup");
    must(mount(NULL, "sys/fs/cgroup", NULL, MS_BIND | MS_REMOUNT | RO, NULL), "cgroup");
    must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k"), "dev");
    umask(0);
    for (unsigned i = 0; i < sizeof NODES / sizeof *NODES; i++) {
        snprintf(path, sizeof path, "dev/%s", NODES[i].name);
        must(mknod(path, S_IFCHR | 0666, makedev(1, NODES[i].minor)), path);
    }
    must(mknod("dev/tty", S_IFCHR | 0666, makedev(5, 0)), "tty");
    umask(022);
    mkdir("dev/pts", 0755);
    mkdir("dev/shm", 0755);
    mkdir("dev/mqueue", 0755);
    must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"), "pts");
    must(mount("tmpfs", "dev/shm", "tmpfs", SAFE, "mode=1777"), "shm");
    must(mount("mqueue", "dev/mqueue", "mqueue", SAFE, NULL), "mqueue");
    must(symlink("pts/ptmx", "dev/ptmx"), "ptmx");
    must(symlink("/proc/self/fd", "dev/fd"), "fd");
    must(symlink("/proc/self/fd/0", "dev/stdin"), "stdin");
    must(symlink("/proc/self/fd/1", "dev/stdout"), "stdout");
    must(symlink("/proc/self/fd/2", "dev/stderr"), "stderr");
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "umount");
    for (unsigned i = 0; i < sizeof READ_ONLY / sizeof *READ_ONLY; i++)
        if (mount(READ_ONLY[i], READ_ONLY[i], NULL, MS_BIND | MS_REC, NULL) == 0)
            must(mount(NULL, READ_ONLY[i], NULL, MS_BIND | MS_REMOUNT | RO, NULL), READ_ONLY[i]);
    for (unsigned i = 0; i < sizeof HIDDEN / sizeof *HIDDEN; i++)
        if (mount("dev/null", HIDDEN[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
            must(-1, HIDDEN[i]);
    for (unsigned i = 0; i < sizeof EMPTY / sizeof *EMPTY; i++)
        if (mount("tmpfs", EMPTY[i], "tmpfs", RO, "size=0") < 0 && errno != ENOENT)
            must(-1, EMPTY[i]);
    must(sethostname("floor", 5), "hostname");
    must(setsid(), "setsid");
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    uint32_t keep = 0xa80425fb;
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
        if (capability > 31 || !(keep >> capability & 1))
            must(prctl(PR_CAPBSET_DROP, capability), "bounding set");
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{keep, keep, 0}, {0, 0, 0}};
    must(syscall(SYS_capset, &head, data), "capset");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    if (filter.len > 0)
        must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "seccomp");
    execv(command[0], command);
    must(-1, command[0]);
}

int main(int count, char **words) {
    if (count > 1 && words[1][0] == '+') {
        int file = open(words[1] + 1, O_RDONLY | O_CLOEXEC);
        must(file, words[1]);
        ssize_t len = read(file, instructions, sizeof instructions);
        must(len, words[1]);
        filter.len = (unsigned short)(len / (ssize_t)sizeof *instructions);
        close(file);
        words++;
        count--;
    }
    if (count < 4)
        return 2;
    must(mkdir(words[1], 0755), words[1]);
    int cgroup = open(words[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
    must(cgroup, words[1]);
    set(cgroup, "memory.max", "67108864");
    set(cgroup, "pids.max", "64");
    struct clone_args how = {
        .flags = CLONE_INTO_CGROUP | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
                 CLONE_NEWCGROUP,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup,
    };
    long child = syscall(SYS_clone3, &how, sizeof how);
    must(child, "clone3");
    if (child == 0)
        contained(words[1], words[2], words + 3);
    int status;
    must(waitpid((pid_t)child, &status, 0), "waitpid");
    must(rmdir(words[1]), "rmdir");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
