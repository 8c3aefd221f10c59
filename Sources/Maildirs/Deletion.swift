import Glibc
package import Mail

/// Deletes messages of one mailbox for one session: the tombstone first, then the files (see the table of `Tombstones`).
struct Deletion {
    private let core: StoreCore
    private let folder: MailboxFolder
    private let mailbox: OpenFile
    private let snapshot: MaildropSnapshot
    private let indices: [Int]

    private let tombstones: [Tombstone]

    /// An error: not deleted, or not for good.
    static func delete(
        _ indices: [Int], of snapshot: MaildropSnapshot, core: StoreCore
    ) throws(MaildirError) -> DeletionOutcome {
        if indices.isEmpty { return DeletionOutcome(failures: 0, tombstones: []) }
        let tombstones = stride(from: 0, to: indices.count, by: Tombstones.identitiesMax).map { start in
            Tombstone(
                name: core.names.tombstone(),
                lines: lines(of: indices[start..<min(start + Tombstones.identitiesMax, indices.count)], snapshot))
        }
        return try core.root.withDirectory { root throws(MaildirError) in
            let mailbox = try core.folders.make(snapshot.folder, in: root)
            let deletion = Deletion(
                core: core, folder: snapshot.folder, mailbox: mailbox, snapshot: snapshot, indices: indices,
                tombstones: tombstones)
            return DeletionOutcome(failures: try deletion.run(), tombstones: tombstones)
        }
    }

    private static func lines(of indices: ArraySlice<Int>, _ snapshot: MaildropSnapshot) -> [UInt8] {
        var lines: [UInt8] = []
        for index in indices {
            snapshot.appendUIDL(at: index, to: &lines)
            lines.append(UInt8(ascii: "\n"))
        }
        return lines
    }

    private func run() throws(MaildirError) -> Int {
        do throws(MaildirError) {
            try writeTombstones()
        } catch {
            guard error.isFull else { throw error }
            _ = try unlinkAll()
            for part in ["new", "cur"] { try? OpenFile.openDirectory(part, in: mailbox.descriptor).sync(part) }
            try writeTombstones()
        }
        return try unlinkAll()
    }

    private func writeTombstones() throws(MaildirError) {
        for tombstone in tombstones {
            try Tombstones.write(tombstone.lines, named: tombstone.name.text, in: mailbox, folder: folder, core: core)
        }
    }

    private func unlinkAll() throws(MaildirError) -> Int {
        var failures = 0
        for index in indices where try !unlink(snapshot.path(at: index), stem: snapshot.stem(at: index)) {
            failures += 1
        }
        return failures
    }

    /// Whether the message has no file any more.
    private func unlink(_ path: [UInt8], stem: [UInt8]) throws(MaildirError) -> Bool {
        if remove(path) { return true }
        guard errno == ENOENT else { return false }
        let search = MessageSearch(mailbox: mailbox, stem: stem)
        guard let moved = try search.find() else { return true }
        return remove(moved) || errno == ENOENT
    }

    private func remove(_ path: [UInt8]) -> Bool {
        (try? withPath(path) { unlinkat(mailbox.descriptor, $0, 0) == 0 }) ?? false
    }
}

/// A list of deleted messages under a name of its own, as it lies in `gone/` of every replica.
package struct Tombstone: Hashable, Sendable {
    package let name: MessageIdentity
    /// Identities, each ended by LF.
    package let lines: [UInt8]

    package init(name: MessageIdentity, lines: [UInt8]) {
        self.name = name
        self.lines = lines
    }
}

/// What became of a deletion.
package struct DeletionOutcome: Hashable, Sendable {
    /// How many files could not be removed though they are tombstoned, and so hidden for good.
    package let failures: Int
    /// What the other replicas have to be told.
    package let tombstones: [Tombstone]
}
