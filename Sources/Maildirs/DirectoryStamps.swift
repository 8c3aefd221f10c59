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
    private let new: Stamp?
    private let cur: Stamp?
    private let gone: Stamp?
    /// The file system has no block device: it may be another host's, with another clock.
    let isRemote: Bool

    private static let wholeSecondsMargin = Duration.seconds(2)

    /// Each directory is opened for it, because over NFS that asks the server, and `stat` alone may not.
    ///
    /// - Parameter isRemote: what a test says of the file system.
    init(of mailbox: OpenFile, isRemote forced: Bool? = nil) throws(MaildirError) {
        new = try Self.stamp(of: "new", in: mailbox)
        cur = try Self.stamp(of: "cur", in: mailbox)
        gone = try Self.stamp(of: "gone", in: mailbox)
        isRemote = forced ?? [new, cur, gone].contains { ($0?.device).map(Self.isRemote) ?? false }
    }

    /// The same of a mailbox's folder below the root, without waiting for a disk: nil where that cannot be.
    init?(ofCached folder: MailboxFolder, in root: OpenFile, _ reads: CachedReads) {
        guard let new = Self.stamp(ofCached: "new", folder, root, reads),
            let cur = Self.stamp(ofCached: "cur", folder, root, reads),
            let gone = Self.stamp(ofCached: "gone", folder, root, reads)
        else { return nil }
        (self.new, self.cur, self.gone) = (new, cur, gone)
        isRemote = false
    }

    private static func stamp(
        ofCached part: String, _ folder: MailboxFolder, _ root: OpenFile, _ reads: CachedReads
    ) -> Stamp?? {
        switch reads.folder("\(folder.path)/\(part)", in: root) {
        case .there(let status): .some(Stamp(status))
        case .notThere: .some(nil)
        case .unknown: nil
        }
    }

    /// Whether a device's number is that of a file system without a block device.
    static func isRemote(device: UInt64) -> Bool { (device >> 8) & 0xFFF == 0 }

    private static func stamp(of part: String, in mailbox: OpenFile) throws(MaildirError) -> Stamp? {
        let directory = try ifThere { () throws(MaildirError) in
            try OpenFile.openDirectory(part, in: mailbox.descriptor)
        }
        return try directory.map { directory throws(MaildirError) in Stamp(try directory.status()) }
    }

    /// Whether a change that comes after `coarse` must show in the stamps of a local file system: the last change is older
    /// than the clock's granularity. Of a remote one this host's clock tells nothing.
    func areSettled(at coarse: FileTime, margin: Duration) -> Bool {
        [new, cur, gone].allSatisfy { Self.isSettled($0, at: coarse, margin: margin) }
    }

    /// The same of `cur/` alone.
    func isCurSettled(at coarse: FileTime, margin: Duration) -> Bool {
        Self.isSettled(cur, at: coarse, margin: margin)
    }

    private static func isSettled(_ stamp: Stamp?, at coarse: FileTime, margin: Duration) -> Bool {
        guard let stamp else { return true }
        let limit = coarse.minus(stamp.isWhole ? max(margin, wholeSecondsMargin) : margin)
        return stamp.modified < limit && stamp.changed < limit
    }

    /// Whether `cur/` is as it was, and `new/` is still the same directory, whatever came into it or went.
    func differsOnlyInNew(from earlier: DirectoryStamps) -> Bool {
        cur == earlier.cur && new?.device == earlier.new?.device && new?.inode == earlier.new?.inode
    }
}

/// When a mailbox's stamps were first seen as they are, by this host's monotonic clock.
struct SeenStamps: Sendable {
    let stamps: DirectoryStamps
    let since: Duration
}
