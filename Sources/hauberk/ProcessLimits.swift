import Glibc

/// What a process asks of the system before it serves.
enum ProcessLimits {
    /// As many open files as the system allows, no signal for a peer that went away, and nothing that others may read:
    /// whoever can connect to a storage node's Unix socket can read all mail.
    static func prepare() {
        umask(0o077)
        signal(SIGPIPE, SIG_IGN)
        signal(SIGHUP, SIG_IGN)  // Until somebody is there to reload.
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
