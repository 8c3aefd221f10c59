import Glibc
import Mail

/// Deletes messages of one mailbox for one session: the tombstone first, then the files (see the table of `Tombstones`).
struct Deletion {
    private let core: StoreCore
    private let folder: MailboxFolder
    private let mailbox: OpenFile
    private let snapshot: MaildropSnapshot
    private let indices: [Int]

    /// How many files could not be removed though they are tombstoned, and so hidden for good. An error: not deleted, or
    /// not for good.
    static func delete(
        _ indices: [Int], of snapshot: MaildropSnapshot, core: StoreCore
    ) throws(MaildirError) -> Int {
        if indices.isEmpty { return 0 }
        let folder = MailboxFolder(snapshot.mailbox, partition: snapshot.partition)
        return try core.root.withDirectory { root throws(MaildirError) in
            let mailbox = try core.folders.make(folder, in: root)
            let deletion = Deletion(core: core, folder: folder, mailbox: mailbox, snapshot: snapshot, indices: indices)
            return try deletion.run()
        }
    }

    private func run() throws(MaildirError) -> Int {
        do throws(MaildirError) {
            try writeTombstone()
        } catch {
            guard error.isFull else { throw error }
            _ = try unlinkAll()
            for part in ["new", "cur"] { try? OpenFile.openDirectory(part, in: mailbox.descriptor).sync(part) }
            try writeTombstone()
        }
        return try unlinkAll()
    }

    private func writeTombstone() throws(MaildirError) {
        let name = core.names.tombstone()
        let home = try DeliveryFolder(folder, mailbox: mailbox)
        let gone = try OpenFile.openDirectory("gone", in: mailbox.descriptor)
        let temporary = core.names.temporary(for: name)
        let file = try Delivery.create(temporary, in: home, faults: core.options.faults)
        defer { unlinkat(home.tmp.descriptor, temporary, 0) }
        try file.write(lines(), name: temporary)
        try file.sync(temporary)
        if linkat(home.tmp.descriptor, temporary, gone.descriptor, name.text, 0) != 0 {
            let error = MaildirError.failed("link", name.text)
            if try file.status().st_nlink < 2 { throw error }
        }
        try gone.sync("gone")
    }

    private func lines() -> [UInt8] {
        var lines: [UInt8] = []
        for index in indices {
            lines += snapshot.stem(at: index)
            lines.append(UInt8(ascii: "\n"))
        }
        return lines
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
