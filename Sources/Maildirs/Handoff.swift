import Glibc
import Mail

// A copy that waits for another node lies in spool/handoff-<node>, in a Maildir of its mailbox's own. Its states:
//
// | done                           | on disk after a crash          | why that is safe                                 |
// |--------------------------------|--------------------------------|--------------------------------------------------|
// | delivered, as to any mailbox   | see Delivery                   | 250 was said, or the frontend tries elsewhere    |
// | or linked from this node's own | in the spool, or not           | not acknowledged until the folder is synced      |
// | the other node said 250        | in the spool                   | sent again: the name is there, nothing is stored |
// | removed from the spool         | in the spool, or not           | the same                                         |
//
// Tombstones wait in the same way. A copy is removed only after the other node's own 250 for it; one that is damaged, and so
// cannot be sent, also where an owner has a tombstone for it.

/// What waits in one mailbox for one other node.
struct Handoff {
    let key: MailboxKey
    let target: SpoolTarget
    let core: StoreCore

    private var own: MailboxFolder { MailboxFolder(key.mailbox, partition: key.partition) }
    var held: MailboxFolder { MailboxFolder(key.mailbox, partition: key.partition, heldFor: target) }

    /// Links a file that this node has, in its own mailbox or waiting for whomever, into the spool.
    func hold(_ name: MessageIdentity) throws(MaildirError) {
        try core.root.withDirectory { root throws(MaildirError) in
            for place in try places() {
                guard let mailbox = try place.openIfThere(in: root) else { continue }
                if try hold(name, from: mailbox, root) { return }
                // Deleted meanwhile: the deletion has told everybody itself.
                let search = RepeatSearch(folder: place, mailbox: mailbox, core: core)
                if try !search.findDurable([NamedMessage(identity: Array(name.text.utf8), content: nil)]).isEmpty {
                    return
                }
            }
            throw .failed(operation: "hold", path: "\(own.path)/\(name.text)", errno: ENOENT)
        }
    }

    /// Where this node may have the mailbox's messages.
    private func places() throws(MaildirError) -> [MailboxFolder] {
        let held = try Self.targets(core).map { MailboxFolder(key.mailbox, partition: key.partition, heldFor: $0) }
        return [own] + held
    }

    /// False if it is not there.
    private func hold(
        _ name: MessageIdentity, from mailbox: OpenFile, _ root: OpenFile
    ) throws(MaildirError) -> Bool {
        try core.folders.withMade(held, in: root) { spool throws(MaildirError) in
            if try linkMessage(name, from: mailbox, to: spool) { return true }
            let path = Array("gone/\(name.text)".utf8)
            guard try link(path, to: path, mailbox, spool, held) != .gone else { return false }
            try OpenFile.openDirectory("gone", in: spool.descriptor).sync("gone")
            return true
        }
    }

    private func linkMessage(
        _ name: MessageIdentity, from mailbox: OpenFile, to spool: OpenFile
    ) throws(MaildirError) -> Bool {
        let identity = Array(name.text.utf8)
        // Another tool may move it between finding and linking.
        for _ in 0..<Self.movesMax {
            let found = try MailboxScan(mailbox: mailbox, core: core).paths(of: [identity])
            guard let path = found[identity] else { return false }
            // Flags are for this copy; in new/ there are none.
            let fileName = path.dropFirst(4).prefix { $0 != UInt8(ascii: ":") }
            if try linkDurably(path, as: fileName, mailbox, spool, held) { return true }
        }
        return false
    }

    private static let movesMax = 8

    /// Gives a message a name in another folder's `new/`, for good. False if there is no such file.
    private func linkDurably(
        _ path: [UInt8], as name: ArraySlice<UInt8>, _ mailbox: OpenFile, _ other: OpenFile, _ folder: MailboxFolder
    ) throws(MaildirError) -> Bool {
        core.maps.willLink(name.withUnsafeBytes(StemIdentity.bytes(ofName:)), to: folder)
        guard try link(path, to: Array("new/".utf8) + name, mailbox, other, folder) != .gone else { return false }
        try OpenFile.openDirectory("new", in: other.descriptor).sync("new")
        return true
    }

    enum Link { case made, taken, gone }

    /// `.gone` if there is no such file. A file that has the name already is the same message.
    ///
    /// - Parameter folder: the one that `spool` is.
    func link(
        _ path: [UInt8], to copy: [UInt8], _ mailbox: OpenFile, _ spool: OpenFile, _ folder: MailboxFolder
    ) throws(MaildirError) -> Link {
        try withPath(path) { path throws(MaildirError) in
            try withPath(copy) { copy throws(MaildirError) in
                if linkat(mailbox.descriptor, path, spool.descriptor, copy, 0) == 0 {
                    core.gauges.changed(folder, by: 1)
                    return .made
                }
                let error = MaildirError.failed("link", copy)
                var status = stat()
                if fstatat(spool.descriptor, copy, &status, AT_SYMLINK_NOFOLLOW) == 0,
                    status.st_mode & S_IFMT == S_IFREG
                {
                    return .taken
                }
                // Or the folder is gone that it should have come to.
                guard error.errorNumber == ENOENT, isThere(partOf: copy, in: spool) else { throw error }
                return .gone
            }
        }
    }

    /// Whether the folder is there that `new/NAME` or `gone/NAME` is in.
    private func isThere(partOf path: UnsafePointer<CChar>, in spool: OpenFile) -> Bool {
        var status = stat()
        let part = String(String(cString: path).prefix { $0 != "/" })
        return fstatat(spool.descriptor, part, &status, AT_SYMLINK_NOFOLLOW) == 0
    }

    /// Removes from the spool what the other node has.
    static func release(
        _ indices: [Int], _ tombstones: [MessageIdentity], of snapshot: MaildropSnapshot, core: StoreCore
    ) throws(MaildirError) {
        try core.root.withDirectory { root throws(MaildirError) in
            guard let spool = try snapshot.folder.openIfThere(in: root) else { return }
            var removed = 0
            defer { core.gauges.changed(snapshot.folder, by: -removed) }
            let paths = indices.map(snapshot.path) + tombstones.map { Array("gone/\($0.text)".utf8) }
            for path in paths {
                try withPath(path) { pointer throws(MaildirError) in
                    if unlinkat(spool.descriptor, pointer, 0) == 0 {
                        removed += 1
                    } else if errno != ENOENT {
                        throw .failed("unlink", pointer)
                    }
                }
            }
        }
    }

    /// Lets go of one message or tombstone that the other side has; it need not be here.
    func letGo(_ name: MessageIdentity) throws(MaildirError) {
        try core.root.withDirectory { root throws(MaildirError) in
            guard let spool = try held.openIfThere(in: root) else { return }
            let identity = Array(name.text.utf8)
            var paths = [Array("gone/".utf8) + identity]
            // It may have come by two ways, and then has two names that tell them.
            try MailboxScan(mailbox: spool, core: core).forEachFile { found, part, name in
                if found.elementsEqual(identity) { paths.append(Array("\(part)/".utf8) + name) }
            }
            for path in paths {
                let number = core.unlink(path, in: spool)
                if number == 0 { core.gauges.changed(held, by: -1) }
                guard number == 0 || number == ENOENT else {
                    throw .failed(operation: "unlink", path: String(decoding: path, as: UTF8.self), errno: number)
                }
            }
        }
    }

    /// Removes deleted messages from what waits for sites: these hear of the deletion itself, or told of it. What is left for
    /// want of a chance goes there in vain.
    static func forget(_ deleted: DeletedMessages, of key: MailboxKey, _ root: OpenFile, _ core: StoreCore) {
        for site in (try? targets(core, .site)) ?? [] {
            let folder = MailboxFolder(key.mailbox, partition: key.partition, heldFor: site)
            guard let spool = try? folder.openIfThere(in: root) else { continue }
            var removed = 0
            _ = try? MailboxScan(mailbox: spool, core: core).remove(deleted) { removed += 1 }
            core.gauges.changed(folder, by: -removed)
        }
    }

    /// Links a message that waits in the spool into this node's own mailbox, durably, if it is not there and was not deleted:
    /// whoever delivered it may have died between the two.
    ///
    /// What is in the mailbox is passed on no more when it comes again, so the spools of all sites that are to have it come
    /// first, this one too: whoever delivered it may have died between two of them, or before the sync.
    ///
    /// - Parameter sites: those that are to have it.
    /// - Returns: whether it was put there now.
    func restore(_ index: Int, of snapshot: MaildropSnapshot, sites: SiteSpools) throws(MaildirError) -> Bool {
        try core.root.withDirectory { root throws(MaildirError) in
            guard let spool = try snapshot.folder.openIfThere(in: root) else { return false }
            let mailbox = try core.folders.make(own, in: root)
            let search = RepeatSearch(folder: own, mailbox: mailbox, core: core)
            // By its content too: what was sent again is deleted with what it repeats.
            let content = snapshot.name(at: index).withUnsafeBytes { MessageNameBytes.content(of: $0) }
            let named = NamedMessage(identity: snapshot.identity(at: index), content: content)
            guard try search.findDurable([named]).isEmpty else { return false }
            let path = snapshot.path(at: index)
            let name = SiteSpoolName.mailboxName(of: Array(path.dropFirst(4)))
            let spooled = Array(sites.fileName(String(decoding: name, as: UTF8.self)).utf8)
            var leftOut: [MailboxFolder] = []
            for folder in sites.folders(of: key) {
                // It is linked from the spool that it is in: there is room for what is there.
                if folder != snapshot.folder, core.leavesOut(folder) {
                    leftOut.append(folder)
                    continue
                }
                let other = try core.folders.make(folder, in: root)
                _ = try linkDurably(path, as: spooled[...], spool, other, folder)
            }
            let isRestored = try linkDurably(path, as: name[...], spool, mailbox, own)
            try core.confirm(leftOut: leftOut)
            return isRestored
        }
    }

    // MARK: - what there is

    static func targets(_ core: StoreCore, _ kind: SpoolTarget.Kind = .node) throws(MaildirError) -> [SpoolTarget] {
        try core.root.withDirectory { root throws(MaildirError) in
            try StoreWalk.folders(in: MailboxFolder.spool, root, core).compactMap { SpoolTarget(folder: $0) }
        }.filter { $0.kind == kind }
    }

    static func mailboxes(
        for target: SpoolTarget, after last: MailboxKey?, count: Int, core: StoreCore
    ) throws(MaildirError) -> MailboxPage {
        let start = last.map { MailboxFolder($0.mailbox, partition: $0.partition, heldFor: target).path }
        return try StoreWalk(core: core, top: MailboxFolder.top(target), start: start).page(count: count) {
            spool throws(MaildirError) in try isWaiting(in: spool, core)
        }
    }

    /// Whether something waits, or cannot be looked at.
    static func mayWait(for target: SpoolTarget, _ core: StoreCore) throws(MaildirError) -> Bool {
        var mayWait = false
        try StoreWalk(core: core, top: MailboxFolder.top(target)).forEachMailbox(
            { _, spool throws(MaildirError) in
                if try isWaiting(in: spool, core) { mayWait = true }
                return !mayWait
            }, failed: { _ in mayWait = true })
        return mayWait
    }

    static func isWaiting(in spool: OpenFile, _ core: StoreCore) throws(MaildirError) -> Bool {
        for part in ["new", "cur", "gone"] {
            let directory = try core.directory(part, in: spool)
            while let entry = try directory?.next() {
                if entry.mayBeFile, entry.name.first != UInt8(ascii: ".") { return true }
            }
        }
        return false
    }
}
