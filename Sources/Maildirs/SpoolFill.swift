import Glibc
import Mail

// What another site lacks comes from the mailbox into the site's spool, for whoever carries that:
//
// | done                            | on disk after a crash      | why that is safe                                     |
// |---------------------------------|----------------------------|------------------------------------------------------|
// | tombstones linked, gone/ synced | tombstones in the spool    | they are carried; the next comparison finds the rest |
// | messages linked, new/ synced    | messages in the spool      | the same; the mailbox has them                       |
// | those taken out again that were | deleted ones in the spool, | whoever carries them has their tombstone carried     |
// | deleted meanwhile               | perhaps                    | first, and does not restore them here                |
//
// A deletion makes its tombstone durable, takes what it names out of the spools, and then removes it from the mailbox. What is
// linked between these two is taken out by the last step, which looks for tombstones after the link.

extension Handoff {
    /// Links messages and tombstones of this node's own mailbox into the spool, durably. How many were not there yet.
    func fill(
        messages indices: [Int], tombstones: [MessageIdentity], of snapshot: MaildropSnapshot
    ) throws(MaildirError) -> Int {
        try core.root.withDirectory { root throws(MaildirError) in
            guard let mailbox = try snapshot.folder.openIfThere(in: root) else { return 0 }
            let spool = try core.folders.make(held, in: root)
            var made = 0
            for name in tombstones {
                let path = Array("gone/\(name.text)".utf8)
                if try link(path, to: path, mailbox, spool, held) == .made { made += 1 }
            }
            if !tombstones.isEmpty { try sync("gone", of: spool) }
            return made + (try fill(indices, of: snapshot, mailbox, spool))
        }
    }

    private func fill(
        _ indices: [Int], of snapshot: MaildropSnapshot, _ mailbox: OpenFile, _ spool: OpenFile
    ) throws(MaildirError) -> Int {
        if indices.isEmpty { return 0 }
        var made = 0
        var moved: [[UInt8]: Int] = [:]
        for index in indices {
            switch try link(snapshot.path(at: index), mailbox, spool) {
            case .made: made += 1
            case .taken: break
            case .gone: moved[snapshot.identity(at: index)] = index
            }
        }
        if !moved.isEmpty {
            let found = try MailboxScan(mailbox: mailbox, core: core).paths(of: Set(moved.keys))
            for path in found.values where try link(path, mailbox, spool) == .made { made += 1 }
        }
        try sync("new", of: spool)
        return max(0, made - (try takeDeletedOut(indices, of: snapshot, mailbox, spool)))
    }

    /// Flags are for this site's copy; in `new/` there are none.
    private func link(_ path: [UInt8], _ mailbox: OpenFile, _ spool: OpenFile) throws(MaildirError) -> Link {
        let name = path.dropFirst(4).prefix { $0 != UInt8(ascii: ":") }
        return try link(path, to: Array("new/".utf8) + name, mailbox, spool, held)
    }

    /// How many files went.
    private func takeDeletedOut(
        _ indices: [Int], of snapshot: MaildropSnapshot, _ mailbox: OpenFile, _ spool: OpenFile
    ) throws(MaildirError) -> Int {
        let named = indices.map { index in
            NamedMessage(
                identity: snapshot.identity(at: index),
                content: snapshot.name(at: index).withUnsafeBytes { MessageNameBytes.content(of: $0) })
        }
        let deleted = try Tombstones.find(named, in: mailbox, snapshot.folder, core)
        if deleted.isEmpty { return 0 }
        var removed = 0
        _ = try MailboxScan(mailbox: spool, core: core).remove(
            DeletedMessages(identities: deleted, window: core.options.resendWindow)
        ) { removed += 1 }
        core.gauges.changed(held, by: -removed)
        return removed
    }

    private func sync(_ part: String, of spool: OpenFile) throws(MaildirError) {
        try core.options.faults?.check(.syncDirectory, "\(held.path)/\(part)")
        try OpenFile.openDirectory(part, in: spool.descriptor).sync(part)
    }
}

/// Looks for names that another site has, of messages and of tombstones.
struct NameSearch {
    let folder: MailboxFolder
    let mailbox: OpenFile
    let core: StoreCore

    /// Whether each is neither here nor deleted. Whatever made the others known is durable then.
    func lacks(_ names: [MessageIdentity]) throws(MaildirError) -> [Bool] {
        var tombstones: Set<[UInt8]> = []
        try Tombstones.forEachFile(in: mailbox) { tombstones.insert($0) }
        let identities = names.map { Array($0.text.utf8) }
        let messages = identities.filter { !tombstones.contains($0) }.map { NamedMessage(identity: $0, content: nil) }
        let found = try RepeatSearch(folder: folder, mailbox: mailbox, core: core).findDurable(messages)
        if messages.count < names.count { try MailboxFolder.syncNames(in: mailbox, core) }
        return identities.map { !tombstones.contains($0) && !found.contains($0) }
    }
}
