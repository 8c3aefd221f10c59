import Glibc

/// What tells that a mailbox's directories did not change: inode and times of each.
struct DirectoryStamps: Hashable, Sendable {
    private struct Stamp: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
        let modified: FileTime
        let changed: FileTime

        init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
            modified = FileTime(status.st_mtim)
            changed = FileTime(status.st_ctim)
        }

        /// The file system may write down whole seconds only.
        var isWhole: Bool { modified.nanoseconds == 0 && changed.nanoseconds == 0 }
    }

    /// Nil for a directory that is not there.
    private var stamps: [Stamp?] = []
    /// The file system has no block device: it may be another host's, with another clock.
    private(set) var isRemote: Bool

    private static let wholeSecondsMargin = Duration.seconds(2)

    /// Each directory is opened for it, because over NFS that asks the server, and `stat` alone may not.
    ///
    /// - Parameter isRemote: what a test says of the file system.
    init(of mailbox: OpenFile, isRemote forced: Bool? = nil) throws(MaildirError) {
        isRemote = forced ?? false
        for part in ["new", "cur", "gone"] {
            let directory = try ifThere { () throws(MaildirError) in
                try OpenFile.openDirectory(part, in: mailbox.descriptor)
            }
            let stamp = try directory.map { directory throws(MaildirError) in Stamp(try directory.status()) }
            if forced == nil, let stamp, (stamp.device >> 8) & 0xFFF == 0 { isRemote = true }
            stamps.append(stamp)
        }
    }

    /// Whether a change that comes after `coarse` must show in the stamps of a local file system: the last change is older
    /// than the clock's granularity. Of a remote one this host's clock tells nothing.
    func areSettled(at coarse: FileTime, margin: Duration) -> Bool {
        stamps.allSatisfy { stamp in
            guard let stamp else { return true }
            let limit = coarse.minus(stamp.isWhole ? max(margin, Self.wholeSecondsMargin) : margin)
            return stamp.modified < limit && stamp.changed < limit
        }
    }
}

/// When a mailbox's stamps were first seen as they are, by this host's monotonic clock.
struct SeenStamps: Sendable {
    let stamps: DirectoryStamps
    let since: Duration
}
