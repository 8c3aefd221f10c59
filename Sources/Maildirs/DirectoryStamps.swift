import FileTimes

/// What tells that a mailbox's directories did not change: the stamps of each.
struct DirectoryStamps: Hashable, Sendable {
    /// Nil for a directory that is not there.
    private let new: ChangeStamp?
    private let cur: ChangeStamp?
    private let gone: ChangeStamp?
    /// The file system has no block device: it may be another host's, with another clock.
    let isRemote: Bool

    /// Each directory is opened for it, because over NFS that asks the server, and `stat` alone may not.
    ///
    /// - Parameter isRemote: what a test says of the file system.
    init(of mailbox: OpenFile, isRemote forced: Bool? = nil) throws(MaildirError) {
        new = try Self.stamp(of: "new", in: mailbox)
        cur = try Self.stamp(of: "cur", in: mailbox)
        gone = try Self.stamp(of: "gone", in: mailbox)
        isRemote = forced ?? [new, cur, gone].contains { $0?.isRemote ?? false }
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
    ) -> ChangeStamp?? {
        switch reads.folder("\(folder.path)/\(part)", in: root) {
        case .there(let status): .some(ChangeStamp(status))
        case .notThere: .some(nil)
        case .unknown: nil
        }
    }

    private static func stamp(of part: String, in mailbox: OpenFile) throws(MaildirError) -> ChangeStamp? {
        let directory = try ifThere { () throws(MaildirError) in
            try OpenFile.openDirectory(part, in: mailbox.descriptor)
        }
        return try directory.map { directory throws(MaildirError) in ChangeStamp(try directory.status()) }
    }

    /// Whether a change that comes after `coarse` must show in the stamps of a local file system: the last change is older
    /// than the clock's granularity. Of a remote one this host's clock tells nothing.
    func areSettled(at coarse: FileTime, margin: Duration) -> Bool {
        [new, cur, gone].allSatisfy { $0?.isSettled(at: coarse, margin: margin) ?? true }
    }

    /// The same of `cur/` alone.
    func isCurSettled(at coarse: FileTime, margin: Duration) -> Bool {
        cur?.isSettled(at: coarse, margin: margin) ?? true
    }

    /// Whether `cur/` is as it was, and `new/` is still the same directory, whatever came into it or went.
    func differsOnlyInNew(from earlier: DirectoryStamps) -> Bool {
        guard cur == earlier.cur, let new, let earlierNew = earlier.new else { return false }
        return new.isSameFile(as: earlierNew)
    }
}

/// When a mailbox's stamps were first seen as they are, by this host's monotonic clock.
struct SeenStamps: Sendable {
    let stamps: DirectoryStamps
    let since: Duration
}
