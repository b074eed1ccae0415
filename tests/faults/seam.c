/* The seam between the server and the kernel: records what the server does to its files, and makes calls fail on order.
 *
 * Loaded with LD_PRELOAD into the real, unmodified binary. A seccomp filter sends every system call that can change a file
 * to `on_sigsys`, whoever makes it: libc, SQLite, or code with system calls of its own (rustix). The filter lets a call
 * through only from the one instruction below (`seam_syscall`), so nothing can pass unseen. What works through libc alone
 * (the wall clock, epoll_wait, posix_spawn) is overridden by name.
 *
 * The filter is set when the server makes its first thread; by then the spawner, which must not inherit it, is running.
 * (So a server with the seam cannot start a second spawner: SEAM_FILTER=no leaves the filter out where that is tested.)
 *
 * Environment: SEAM_CONTROL, a file that holds the orders (struct control), and behind them the log (struct record);
 * SEAM_FOLDER, the folder whose files are meant, without symbolic links in its path. Both sides of the file are written
 * with plain stores by the server and by the test; tests/faults/src/log.rs and tests/scenarios/seam.py know its layout. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/limits.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the seam knows x86_64 only"
#endif

/* --- the file shared with the test ------------------------------------------------------------------------------------ */

#define PAGE 4096
#define RULES 8
#define PART 32

/* What a call does to a file; the bit 1 << kind selects it in a rule. */
enum kind {
    OPEN = 1,     /* creates or truncates: flags in `flags` */
    WRITE = 2,    /* data at offset */
    TRUNCATE = 3, /* to offset */
    ALLOCATE = 4, /* mode in `flags`, offset, length */
    SYNC = 5,     /* a file or a folder */
    RENAME = 6,
    UNLINK = 7,
    MKDIR = 8,
    LINK = 9,
    UNKNOWN = 10, /* changes a file in a way that the model does not know: its system call in `flags` */
    ACCEPT = 11,  /* not recorded, for rules only */
    LOOK = 12,    /* an open that changes nothing; not recorded, for rules only */
};

enum effect { FAIL = 0, SHORT = 1, LIE = 2 };
enum mode { OFF = 0, ONCE = 1, FROM_THEN_ON = 2, EVERY = 3 };

struct rule {
    uint32_t kinds;
    uint32_t error;
    uint32_t effect;
    uint32_t mode;
    _Atomic int64_t countdown; /* calls until it acts, counted down by the server */
    int64_t every;
    _Atomic uint64_t hits;
    char part[PART]; /* a piece of the path, its end when the last byte is `$`; empty: every path */
};

struct control {
    uint64_t magic;
    _Atomic uint64_t sequence;
    _Atomic uint64_t used; /* bytes of the log */
    uint64_t size;         /* bytes that the log may have */
    _Atomic int64_t clock_offset;
    _Atomic uint64_t lost; /* records that did not fit: then the log is worth nothing */
    _Atomic uint64_t spawn_error;
    _Atomic uint64_t epoll_error; /* given once to a worker's epoll_wait */
    _Atomic uint64_t calls;
    _Atomic uint64_t panics; /* worker threads whose clock was made to fail once */
    uint64_t reserved[6];
    struct rule rules[RULES];
};

struct record {
    uint64_t bytes; /* of the whole record, a multiple of 8; written first */
    _Atomic uint64_t done;
    uint64_t begin;
    uint64_t end;
    uint64_t kind;
    int64_t result;
    uint64_t inode;
    uint64_t offset;
    uint64_t length; /* of what was asked for; the data is as long as what was done */
    uint64_t flags;
    uint64_t path;  /* bytes of the path, which follows; then those of the second path */
    uint64_t path2;
    uint64_t data;
};

#define MAGIC 0x31304d414553ULL /* "SEAM01" */
/* A client that sends these bytes makes the clock fail once, on the thread that reads them. */
static const char PANIC[] = "seam:panic";

static struct control *control;
static char folder[PATH_MAX];
static size_t folder_length;
static enum { OUTSIDE, SERVER, SPAWNER } role;
static int filtered;
static __thread int panic_here __attribute__((tls_model("initial-exec")));

/* --- system calls from the one place that the filter lets through ----------------------------------------------------- */

long seam_syscall(long number, long a, long b, long c, long d, long e, long f);
extern char seam_syscall_end[];
__asm__(".text\n.globl seam_syscall\n.hidden seam_syscall\n.type seam_syscall,@function\nseam_syscall:\n"
        "mov %rdi,%rax\nmov %rsi,%rdi\nmov %rdx,%rsi\nmov %rcx,%rdx\nmov %r8,%r10\nmov %r9,%r8\nmov 8(%rsp),%r9\n"
        "syscall\n.globl seam_syscall_end\n.hidden seam_syscall_end\nseam_syscall_end:\nret\n");

#define CALL(number, a, b, c) seam_syscall(number, (long)(a), (long)(b), (long)(c), 0, 0, 0)

/* --- whose file is it ------------------------------------------------------------------------------------------------- */

static int inside(const char *path) {
    return strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || path[folder_length] == 0);
}

/* The path of an open descriptor; its length, or 0. */
static size_t path_of(int fd, char *path) {
    char link[32];
    char digits[12];
    int count = 0;
    unsigned number = (unsigned)fd;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    memcpy(link, "/proc/self/fd/", 14);
    for (int at = 0; at < count; at++) link[14 + at] = digits[count - 1 - at];
    link[14 + count] = 0;
    long length = CALL(SYS_readlink, link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return (size_t)length;
}

/* What a name means beneath an open folder. 1: it is beneath ours. */
static int resolve(int dirfd, const char *name, char *path) {
    if (name == NULL) return 0;
    size_t length = 0;
    if (name[0] != '/') {
        if (dirfd == AT_FDCWD) {
            long got = CALL(SYS_getcwd, path, PATH_MAX, 0);
            if (got <= 0) return 0;
            length = strlen(path);
        } else {
            length = path_of(dirfd, path);
            if (length == 0) return 0;
        }
        path[length++] = '/';
    }
    size_t more = strlen(name);
    if (length + more >= PATH_MAX) return 0;
    memcpy(path + length, name, more + 1);
    return inside(path);
}

/* 1 when the descriptor is a file or a folder of ours. */
static int ours(int fd, struct stat *status, char *path) {
    if (CALL(SYS_fstat, fd, status, 0) != 0) return 0;
    if (!S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode)) return 0;
    return path_of(fd, path) && inside(path);
}

static uint64_t inode_at(const char *path) {
    struct stat status;
    return seam_syscall(SYS_newfstatat, AT_FDCWD, (long)path, (long)&status, AT_SYMLINK_NOFOLLOW, 0, 0) ? 0 : status.st_ino;
}

/* --- orders ----------------------------------------------------------------------------------------------------------- */

static int concerns(const struct rule *rule, const char *path) {
    size_t part = strlen(rule->part);
    if (part == 0) return 1;
    if (path == NULL) return 0;
    if (rule->part[part - 1] != '$') return strstr(path, rule->part) != NULL;
    size_t length = strlen(path);
    return length >= part - 1 && memcmp(path + length - (part - 1), rule->part, part - 1) == 0;
}

/* The rule that acts on this call, or NULL. */
static struct rule *rule_for(enum kind kind, const char *path) {
    for (int at = 0; at < RULES; at++) {
        struct rule *rule = &control->rules[at];
        if (rule->mode == OFF || !(rule->kinds & (1u << kind))) continue;
        if (!concerns(rule, path)) continue;
        int64_t left = atomic_fetch_sub(&rule->countdown, 1) - 1;
        int acts = rule->mode == FROM_THEN_ON ? left <= 0 : left == 0;
        if (!acts) continue;
        if (rule->mode == EVERY) atomic_store(&rule->countdown, rule->every);
        atomic_fetch_add(&rule->hits, 1);
        return rule;
    }
    return NULL;
}

/* --- records ---------------------------------------------------------------------------------------------------------- */

static struct record *begin(enum kind kind, uint64_t inode, const char *path, const char *path2, uint64_t room) {
    size_t length = path ? strlen(path) : 0;
    size_t length2 = path2 ? strlen(path2) : 0;
    uint64_t bytes = (sizeof(struct record) + length + length2 + room + 7) & ~7ULL;
    uint64_t at = atomic_fetch_add(&control->used, bytes);
    if (at + bytes > control->size) {
        atomic_fetch_add(&control->lost, 1);
        return NULL;
    }
    struct record *record = (struct record *)((char *)control + PAGE + at);
    record->bytes = bytes;
    record->kind = kind;
    record->inode = inode;
    record->path = length;
    record->path2 = length2;
    char *to = (char *)(record + 1);
    if (length) memcpy(to, path, length);
    if (length2) memcpy(to + length, path2, length2);
    record->begin = atomic_fetch_add(&control->sequence, 1);
    return record;
}

static char *data_of(struct record *record) { return (char *)(record + 1) + record->path + record->path2; }

static long finish(struct record *record, long result) {
    if (record) {
        record->result = result;
        record->end = atomic_fetch_add(&control->sequence, 1);
        atomic_store(&record->done, 1);
    }
    return result;
}

/* --- the calls -------------------------------------------------------------------------------------------------------- */

static long unknown(long number, const char *path, long result) {
    struct record *record = begin(UNKNOWN, 0, path, NULL, 0);
    if (record) record->flags = (uint64_t)number;
    return finish(record, result);
}

static long on_open(long number, long *a, int dirfd, const char *name, int flags) {
    char path[PATH_MAX];
    int changes = (flags & (O_CREAT | O_TRUNC)) != 0;
    if (!resolve(dirfd, name, path)) return seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    struct rule *rule = rule_for(changes ? OPEN : LOOK, path);
    if (rule) return -(long)rule->error;
    if (!changes) return seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    struct record *record = begin(OPEN, 0, path, NULL, 0);
    long result = seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (record) {
        struct stat status;
        record->flags = (uint64_t)flags;
        if (result >= 0 && CALL(SYS_fstat, result, &status, 0) == 0) record->inode = status.st_ino;
    }
    return finish(record, result);
}

/* A write of `count` pieces at `offset`, or where the file stands when it is -1. */
static long on_write(int fd, const struct iovec *pieces, int count, int64_t offset) {
    struct stat status;
    char path[PATH_MAX];
    if (!ours(fd, &status, path)) {
        if (offset >= 0) return seam_syscall(SYS_pwritev, fd, (long)pieces, count, offset, 0, 0);
        if (count == 1) return CALL(SYS_write, fd, pieces[0].iov_base, pieces[0].iov_len);
        return CALL(SYS_writev, fd, pieces, count);
    }
    uint64_t total = 0;
    for (int at = 0; at < count; at++) total += pieces[at].iov_len;
    uint64_t most = total;
    struct rule *rule = rule_for(WRITE, path);
    if (rule && rule->effect == FAIL) return -(long)rule->error;
    if (rule && rule->effect == SHORT && total > 1) most = total / 2;
    int positioned = offset >= 0;
    if (!positioned) {
        long flags = CALL(SYS_fcntl, fd, F_GETFL, 0);
        offset = flags >= 0 && (flags & O_APPEND) ? status.st_size : CALL(SYS_lseek, fd, 0, SEEK_CUR);
        if (offset < 0) return offset;
    }
    struct record *record = begin(WRITE, status.st_ino, path, NULL, most);
    if (record == NULL) return -EIO;
    record->offset = (uint64_t)offset;
    record->length = total;
    /* The log's copy is what is written, so that both are the same whatever happens to the caller's memory meanwhile. */
    char *to = data_of(record);
    uint64_t filled = 0;
    for (int at = 0; at < count && filled < most; at++) {
        uint64_t step = pieces[at].iov_len < most - filled ? pieces[at].iov_len : most - filled;
        memcpy(to + filled, pieces[at].iov_base, step);
        filled += step;
    }
    long result = positioned ? seam_syscall(SYS_pwrite64, fd, (long)to, (long)most, offset, 0, 0) : CALL(SYS_write, fd, to, most);
    record->data = result > 0 ? (uint64_t)result : 0;
    return finish(record, result);
}

/* A call on an open descriptor that carries no data. */
static long on_file(enum kind kind, long number, long *a, uint64_t offset, uint64_t length, uint64_t flags) {
    struct stat status;
    char path[PATH_MAX];
    if (!ours((int)a[0], &status, path)) return seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    struct rule *rule = rule_for(kind, path);
    if (rule && rule->effect == LIE) return 0;
    struct record *record = begin(kind, status.st_ino, path, NULL, 0);
    if (record) {
        record->offset = offset;
        record->length = length;
        record->flags = flags;
    }
    if (rule) return finish(record, -(long)rule->error);
    return finish(record, seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

/* A call on one name. */
static long on_name(enum kind kind, long number, long *a, int dirfd, const char *name, uint64_t flags) {
    char path[PATH_MAX];
    if (!resolve(dirfd, name, path)) return seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    struct rule *rule = rule_for(kind, path);
    if (rule) return -(long)rule->error;
    struct record *record = begin(kind, inode_at(path), path, NULL, 0);
    if (record) record->flags = flags;
    return finish(record, seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

/* A call on two names. */
static long on_names(enum kind kind, long number, long *a, int from_fd, const char *from, int to_fd, const char *to,
                     uint64_t flags) {
    char path[PATH_MAX];
    char path2[PATH_MAX];
    int first = resolve(from_fd, from, path);
    int second = resolve(to_fd, to, path2);
    if (!first && !second) return seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    struct rule *rule = rule_for(kind, path2);
    if (rule) return -(long)rule->error;
    /* Into our folder or out of it: the model knows neither. */
    if (!first || !second || flags) return unknown(number, path2, seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
    struct record *record = begin(kind, inode_at(path), path, path2, 0);
    return finish(record, seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

/* A call that the model does not know; let through, and told when it is about a file of ours. */
static long on_other(long number, long *a, int fd) {
    struct stat status;
    char path[PATH_MAX];
    long result = seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return ours(fd, &status, path) ? unknown(number, path, result) : result;
}

/* Shared memory of a file: SQLite's index of its log, which is made anew at every start, is the only one that may be. */
static long on_mmap(long *a) {
    struct stat status;
    char path[PATH_MAX];
    long result = seam_syscall(SYS_mmap, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (!ours((int)a[4], &status, path)) return result;
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, "-shm") == 0 ? result : unknown(SYS_mmap, path, result);
}

static long on_receive(long number, long *a) {
    long result = seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (result >= (long)sizeof PANIC - 1 && memmem((void *)a[1], (size_t)result, PANIC, sizeof PANIC - 1)) panic_here = 1;
    return result;
}

static long dispatch(long number, long *a) {
    switch (number) {
    case SYS_openat: return on_open(number, a, (int)a[0], (const char *)a[1], (int)a[2]);
    case SYS_open: return on_open(number, a, AT_FDCWD, (const char *)a[0], (int)a[1]);
    case SYS_creat: return on_open(number, a, AT_FDCWD, (const char *)a[0], O_CREAT | O_WRONLY | O_TRUNC);
    case SYS_write: {
        struct iovec piece = {(void *)a[1], (size_t)a[2]};
        return on_write((int)a[0], &piece, 1, -1);
    }
    case SYS_pwrite64: {
        struct iovec piece = {(void *)a[1], (size_t)a[2]};
        return on_write((int)a[0], &piece, 1, a[3]);
    }
    case SYS_writev: return on_write((int)a[0], (const struct iovec *)a[1], (int)a[2], -1);
    case SYS_pwritev: return on_write((int)a[0], (const struct iovec *)a[1], (int)a[2], a[3]);
    case SYS_ftruncate: return on_file(TRUNCATE, number, a, (uint64_t)a[1], 0, 0);
    case SYS_fallocate: return on_file(ALLOCATE, number, a, (uint64_t)a[2], (uint64_t)a[3], (uint64_t)a[1]);
    case SYS_fsync:
    case SYS_fdatasync: return on_file(SYNC, number, a, 0, 0, number == SYS_fdatasync);
    case SYS_rename: return on_names(RENAME, number, a, AT_FDCWD, (char *)a[0], AT_FDCWD, (char *)a[1], 0);
    case SYS_renameat: return on_names(RENAME, number, a, (int)a[0], (char *)a[1], (int)a[2], (char *)a[3], 0);
    case SYS_renameat2: return on_names(RENAME, number, a, (int)a[0], (char *)a[1], (int)a[2], (char *)a[3], (uint64_t)a[4]);
    case SYS_link: return on_names(LINK, number, a, AT_FDCWD, (char *)a[0], AT_FDCWD, (char *)a[1], 0);
    case SYS_linkat: return on_names(LINK, number, a, (int)a[0], (char *)a[1], (int)a[2], (char *)a[3], (uint64_t)a[4]);
    case SYS_unlink: return on_name(UNLINK, number, a, AT_FDCWD, (char *)a[0], 0);
    case SYS_rmdir: return on_name(UNLINK, number, a, AT_FDCWD, (char *)a[0], AT_REMOVEDIR);
    case SYS_unlinkat: return on_name(UNLINK, number, a, (int)a[0], (char *)a[1], (uint64_t)a[2]);
    case SYS_mkdir: return on_name(MKDIR, number, a, AT_FDCWD, (char *)a[0], 0);
    case SYS_mkdirat: return on_name(MKDIR, number, a, (int)a[0], (char *)a[1], 0);
    case SYS_mmap: return on_mmap(a);
    case SYS_accept4:
    case SYS_accept: {
        struct rule *rule = rule_for(ACCEPT, NULL);
        return rule ? -(long)rule->error : seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    case SYS_recvfrom:
    case SYS_read: return on_receive(number, a);
    case SYS_copy_file_range: return on_other(number, a, (int)a[2]);
    case SYS_splice: return on_other(number, a, (int)a[2]);
    case SYS_sendfile:
    case SYS_pwritev2: return on_other(number, a, (int)a[0]);
    default: {
        /* Everything else that the filter names changes files in ways that nobody here needs. */
        long result = seam_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        return unknown(number, folder, result);
    }
    }
}

static void on_sigsys(int signal, siginfo_t *info, void *context) {
    (void)signal;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    long arguments[6] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                         registers[REG_R10], registers[REG_R8],  registers[REG_R9]};
    atomic_fetch_add_explicit(&control->calls, 1, memory_order_relaxed);
    registers[REG_RAX] = dispatch(info->si_syscall, arguments);
}

/* --- the filter ------------------------------------------------------------------------------------------------------- */

static const int TRAPPED[] = {
    SYS_openat,   SYS_open,        SYS_creat,      SYS_write,        SYS_pwrite64,   SYS_writev,  SYS_pwritev,
    SYS_pwritev2, SYS_ftruncate,   SYS_truncate,   SYS_fallocate,    SYS_fsync,      SYS_fdatasync, SYS_sync_file_range,
    SYS_sync,     SYS_syncfs,      SYS_msync,      SYS_rename,       SYS_renameat,   SYS_renameat2, SYS_link,
    SYS_linkat,   SYS_unlink,      SYS_unlinkat,   SYS_rmdir,        SYS_mkdir,      SYS_mkdirat, SYS_symlink,
    SYS_symlinkat, SYS_mknod,      SYS_mknodat,    SYS_copy_file_range, SYS_sendfile, SYS_splice, SYS_vmsplice,
    SYS_io_uring_setup, SYS_io_setup, SYS_open_by_handle_at, SYS_accept, SYS_accept4, SYS_recvfrom, SYS_read,
};

#define STATEMENT(code, k) ((struct sock_filter)BPF_STMT(code, k))
#define JUMP(code, k, yes, no) ((struct sock_filter)BPF_JUMP(code, k, yes, no))

static void install_filter(void) {
    struct sock_filter code[sizeof TRAPPED / sizeof TRAPPED[0] + 32];
    size_t at = 0;
    size_t count = sizeof TRAPPED / sizeof TRAPPED[0];
    uint64_t end = (uint64_t)(uintptr_t)seam_syscall_end;
    const uint32_t load = BPF_LD | BPF_W | BPF_ABS, equal = BPF_JMP | BPF_JEQ | BPF_K, any = BPF_JMP | BPF_JSET | BPF_K;
    /* From our own instruction: let through. */
    code[at++] = STATEMENT(load, offsetof(struct seccomp_data, instruction_pointer));
    code[at++] = JUMP(equal, (uint32_t)end, 0, 3);
    code[at++] = STATEMENT(load, offsetof(struct seccomp_data, instruction_pointer) + 4);
    code[at++] = JUMP(equal, (uint32_t)(end >> 32), 0, 1);
    code[at++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[at++] = STATEMENT(load, offsetof(struct seccomp_data, nr));
    /* mmap only when it is shared and writable. */
    code[at++] = JUMP(equal, SYS_mmap, 0, 6);
    code[at++] = STATEMENT(load, offsetof(struct seccomp_data, args[2]));
    code[at++] = JUMP(any, PROT_WRITE, 0, 3);
    code[at++] = STATEMENT(load, offsetof(struct seccomp_data, args[3]));
    code[at++] = JUMP(any, MAP_SHARED, 0, 1);
    code[at++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    code[at++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    for (size_t each = 0; each < count; each++)
        code[at++] = JUMP(equal, (uint32_t)TRAPPED[each], (uint8_t)(count - each), 0);
    code[at++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[at++] = STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    struct sock_fprog program = {(unsigned short)at, code};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_sigsys;
    /* No other handler may run within ours; a call that ours makes by mistake must not be fatal. */
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
    sigfillset(&action.sa_mask);
    sigdelset(&action.sa_mask, SIGSYS);
    if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        dprintf(2, "seam: the filter cannot be installed: %s\n", strerror(errno));
        _exit(97);
    }
}

/* --- what goes through libc by name ----------------------------------------------------------------------------------- */

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    static __typeof__(&pthread_create) next;
    if (!next) next = NEXT(pthread_create);
    if (role == SERVER && !filtered) {
        filtered = 1;
        const char *wanted = getenv("SEAM_FILTER");
        if (!wanted || strcmp(wanted, "no")) install_filter();
    }
    return next(thread, attributes, start, argument);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static __typeof__(&clock_gettime) next;
    if (!next) next = NEXT(clock_gettime);
    if (panic_here && role == SERVER) {
        panic_here = 0;
        atomic_fetch_add(&control->panics, 1);
        errno = EINVAL;
        return -1;
    }
    int result = next(clock, time);
    if (control && result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += atomic_load(&control->clock_offset);
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec time;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &time)) return -1;
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec time;
    if (clock_gettime(CLOCK_REALTIME, &time)) return -1;
    if (now) *now = time.tv_sec;
    return time.tv_sec;
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
    static __typeof__(&epoll_wait) next;
    if (!next) next = NEXT(epoll_wait);
    if (role == SERVER && atomic_load(&control->epoll_error)) {
        char name[16] = "";
        prctl(PR_GET_NAME, name);
        uint64_t error = strncmp(name, "worker-", 7) ? 0 : atomic_exchange(&control->epoll_error, 0);
        if (error) {
            errno = (int)error;
            return -1;
        }
    }
    return next(epoll, events, most, timeout);
}

/* The server gives its spawner an empty environment; the seam goes on into it, but from there to no program. */
int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
                 char *const arguments[], char *const environment[]) {
    static __typeof__(&posix_spawnp) next;
    if (!next) next = NEXT(posix_spawnp);
    if (role == SPAWNER) {
        uint64_t error = atomic_load(&control->spawn_error);
        if (error) return (int)error;
    }
    if (role != SERVER) return next(pid, file, actions, attributes, arguments, environment);
    static const char *NAMES[] = {"LD_PRELOAD", "SEAM_CONTROL", "SEAM_FOLDER"};
    static char entries[3][PATH_MAX + 16];
    char *with[64];
    int count = 0;
    for (; environment && environment[count] && count < 60; count++) with[count] = environment[count];
    for (int at = 0; at < 3; at++) {
        const char *value = getenv(NAMES[at]);
        snprintf(entries[at], sizeof entries[at], "%s=%s", NAMES[at], value ? value : "");
        with[count++] = entries[at];
    }
    with[count] = NULL;
    return next(pid, file, actions, attributes, arguments, with);
}

__attribute__((constructor)) static void load(void) {
    const char *path = getenv("SEAM_CONTROL");
    const char *of = getenv("SEAM_FOLDER");
    if (!path || !of) return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status)) {
        dprintf(2, "seam: %s: %s\n", path, strerror(errno));
        _exit(97);
    }
    control = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (control == MAP_FAILED || control->magic != MAGIC) {
        dprintf(2, "seam: %s is not a control file\n", path);
        _exit(97);
    }
    folder_length = strlen(of);
    memcpy(folder, of, folder_length + 1);
    char line[512] = "";
    int process = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    long length = process < 0 ? 0 : read(process, line, sizeof line - 1);
    close(process);
    size_t first = strlen(line) + 1;
    role = (long)first < length && !strcmp(line + first, "--spawner") ? SPAWNER : SERVER;
}
