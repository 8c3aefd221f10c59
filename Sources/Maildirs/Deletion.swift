import Glibc
package import Mail
import Synchronization

/// Deletes messages of one mailbox for one session: the tombstone first, then the files (see the table of `Tombstones`).
struct Deletion {
    private let core: StoreCore
    private let folder: MailboxFolder
    private let root: OpenFile
    private let snapshot: MaildropSnapshot
    private let indices: [Int]

    private let tombstones: [Tombstone]
    private let sites: SiteSpools

    /// An error: not deleted, or not for good.
    static func delete(
        _ indices: [Int], of snapshot: MaildropSnapshot, sites: SiteSpools, core: StoreCore
    ) throws(MaildirError) -> DeletionOutcome {
        if indices.isEmpty { return DeletionOutcome(failures: 0, tombstones: []) }
        // Nothing that was hidden behind a message begins to show because that is deleted.
        let indices = snapshot.withHidden(indices)
        let tombstones = stride(from: 0, to: indices.count, by: Tombstones.linesMax).map { start in
            Tombstone(
                name: core.names.tombstone(),
                lines: lines(of: indices[start..<min(start + Tombstones.linesMax, indices.count)], snapshot))
        }
        return try core.root.withDirectory { root throws(MaildirError) in
            let deletion = Deletion(
                core: core, folder: snapshot.folder, root: root, snapshot: snapshot, indices: indices,
                tombstones: tombstones, sites: sites)
            return DeletionOutcome(failures: try deletion.run(), tombstones: tombstones)
        }
    }

    private static func lines(of indices: ArraySlice<Int>, _ snapshot: MaildropSnapshot) -> [UInt8] {
        var lines: [UInt8] = []
        for index in indices {
            let digest = snapshot.name(at: index).withUnsafeBytes { MessageNameBytes.content(of: $0)?.digest }
            TombstoneLine.append(snapshot.identity(at: index), digest, to: &lines)
        }
        return lines
    }

    private func run() throws(MaildirError) -> Int {
        do throws(MaildirError) {
            return try unlinkAll(in: writeTombstones())
        } catch {
            guard error.isFull, let mailbox = try folder.openIfThere(in: root) else { throw error }
            _ = try unlinkAll(in: mailbox)
            for part in ["new", "cur"] { try? OpenFile.openDirectory(part, in: mailbox.descriptor).sync(part) }
            return try unlinkAll(in: writeTombstones())
        }
    }

    /// The mailbox in which they are durable now. A foreign one had no `gone/` before.
    private func writeTombstones() throws(MaildirError) -> OpenFile {
        let mailbox = try core.folders.make(folder, in: root)
        let key = snapshot.key
        for tombstone in tombstones {
            let leftOut = try Tombstones.spool(tombstone, for: sites, of: key, in: root, core)
            try Tombstones.write(tombstone.lines, named: tombstone.name.text, in: mailbox, folder: folder, core: core)
            try core.confirm(leftOut: leftOut)
        }
        return mailbox
    }

    /// How many messages still have a file. Those that are not where the snapshot has them are looked for together.
    private func unlinkAll(in mailbox: OpenFile) throws(MaildirError) -> Int {
        Handoff.forget(
            DeletedMessages(identities: Set(indices.map(snapshot.identity)), window: core.options.resendWindow),
            of: snapshot.key, root, core)
        let found = Mutex(Unlinked())
        // Each waits for its file system, for a server or for the blocks to be given back: together they wait less.
        core.removals.spread(indices.count, pieceMax: Self.pieceMax) { piece in
            let unlinked = unlink(indices[piece], in: mailbox)
            found.withLock { $0.add(unlinked) }
        }
        let unlinked = found.withLock { $0 }
        if unlinked.missing.isEmpty { return unlinked.failures }
        let deleted = DeletedMessages(identities: unlinked.missing, window: core.options.resendWindow)
        return unlinked.failures + (try MailboxScan(mailbox: mailbox, core: core).remove(deleted))
    }

    /// As many a thread removes before it looks for more.
    private static let pieceMax = 32

    private struct Unlinked {
        var failures = 0
        /// Those that are not where the snapshot has them.
        var missing: Set<[UInt8]> = []

        mutating func add(_ other: Unlinked) {
            failures += other.failures
            missing.formUnion(other.missing)
        }
    }

    private func unlink(_ indices: ArraySlice<Int>, in mailbox: OpenFile) -> Unlinked {
        var unlinked = Unlinked()
        for index in indices {
            switch core.unlink(snapshot.path(at: index), in: mailbox) {
            case 0: continue
            case ENOENT: unlinked.missing.insert(snapshot.identity(at: index))
            default: unlinked.failures += 1
            }
        }
        return unlinked
    }
}

/// A list of deleted messages under a name of its own, as it lies in `gone/` of every replica.
package struct Tombstone: Hashable, Sendable {
    package let name: MessageIdentity
    /// What it deletes, one message a line (see `TombstoneLine`), each ended by LF.
    package let lines: [UInt8]

    package init(name: MessageIdentity, lines: [UInt8]) {
        self.name = name
        self.lines = lines
    }

    /// The identities that it names.
    package var identities: [String] {
        lines.split(separator: UInt8(ascii: "\n")).map { String(decoding: TombstoneLine($0).identity, as: UTF8.self) }
    }
}

/// What became of a deletion.
package struct DeletionOutcome: Hashable, Sendable {
    /// How many files could not be removed though they are tombstoned, and so hidden for good.
    package let failures: Int
    /// What the other replicas have to be told.
    package let tombstones: [Tombstone]
}
