import Glibc

/// What tells that a mailbox's directories did not change: inode and times of each.
struct DirectoryStamps: Hashable, Sendable {
    private struct Stamp: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
        let modified: FileTime
        let changed: FileTime
    }

    /// Nil for a directory that is not there.
    private var stamps: [Stamp?] = []
    /// The file system has no block device: it may be another host's, with another clock.
    private(set) var isRemote = false

    private static let remoteMargin = Duration.seconds(2)

    init(of mailbox: OpenFile) throws(MaildirError) {
        for part in ["new", "cur", "gone"] {
            var status = stat()
            guard fstatat(mailbox.descriptor, part, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                if errno != ENOENT { throw .failed("stat", part) }
                stamps.append(nil)
                continue
            }
            let device = UInt64(status.st_dev)
            if (device >> 8) & 0xFFF == 0 { isRemote = true }
            stamps.append(
                Stamp(
                    device: device, inode: UInt64(status.st_ino), modified: FileTime(status.st_mtim),
                    changed: FileTime(status.st_ctim)))
        }
    }

    /// Whether a change after `time` must show in the stamps: the last one is older than the clock's granularity.
    func areSettled(at time: FileTime, margin: Duration) -> Bool {
        let limit = time.minus(isRemote ? max(margin, Self.remoteMargin) : margin)
        return stamps.allSatisfy { stamp in
            guard let stamp else { return true }
            return stamp.modified < limit && stamp.changed < limit
        }
    }
}
