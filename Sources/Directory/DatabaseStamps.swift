import Glibc

/// What tells that a database did not change: the identity, size and times of its file and of its write-ahead log. Every
/// commit writes to one of them before anybody can read what it brought.
struct DatabaseStamps: Equatable, Sendable {
    private struct FileStamp: Equatable, Sendable {
        let device: UInt64
        let inode: UInt64
        let size: Int64
        let modified: Duration
        let changed: Duration

        init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
            size = Int64(status.st_size)
            modified = Duration(status.st_mtim)
            changed = Duration(status.st_ctim)
        }

        /// A file system without a block device may be another host's, with another clock.
        var isLocal: Bool { (device >> 8) & 0xFFF != 0 }

        /// Whether a change after `now` must show: the last one is older than the granularity of file times.
        func isSettled(at now: Duration) -> Bool {
            let isWhole = modified.components.attoseconds == 0 && changed.components.attoseconds == 0
            let limit = now - (isWhole ? .seconds(2) : .milliseconds(20))
            return modified < limit && changed < limit
        }
    }

    private let file: FileStamp
    /// Nil while there is none.
    private let log: FileStamp?

    /// Nil where they prove nothing: the file is not there, is not on this host, or has changed just now.
    init?(path: String) {
        let now = Self.coarseTime()
        guard let file = Self.stamp(path), file.isLocal, file.isSettled(at: now) else { return nil }
        let log = Self.stamp(path + "-wal")
        guard log?.isSettled(at: now) ?? true else { return nil }
        self.file = file
        self.log = log
    }

    private static func stamp(_ path: String) -> FileStamp? {
        var status = stat()
        return stat(path, &status) == 0 ? FileStamp(status) : nil
    }

    /// The clock that file times are taken from.
    private static func coarseTime() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &time)
        return Duration(time)
    }
}

extension Duration {
    fileprivate init(_ time: timespec) {
        self = .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
