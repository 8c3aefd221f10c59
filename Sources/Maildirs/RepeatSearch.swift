import Glibc

// A copy that comes may have come before, and its file may have been moved and flagged. To read both directories for each
// batch makes seeding a mailbox of N messages cost N²; so the map of the last reading serves the next searches:
//
// | the map                         | what that tells                                                                  |
// |---------------------------------|----------------------------------------------------------------------------------|
// | shows the message, and the file | it is there                                                                      |
// | is there                        |                                                                                  |
// | shows it, and the file is not   | nothing: it moved, or is gone                                                    |
// | does not show it; nothing       | it is not there                                                                  |
// | changed, as the stamps prove    |                                                                                  |
// | does not show it; only new/     | it is in new/ at most, and came there within the map's lifetime. What this store |
// | changed, as the stamps prove    | linked is known. Another one gave it the name that its bytes give it here, and   |
// |                                 | the link finds that taken                                                        |
// | does not show it; cur/ changed  | nothing                                                                          |
//
// Where that tells nothing, the directories are read. So a second file of one message can come about only if two stores on
// one disk take it within a second and with other bytes; listings show one of the two, and deletions remove both.

/// Looks which messages that may have been delivered before are in the mailbox, or were deleted from it.
struct RepeatSearch {
    let folder: MailboxFolder
    /// The folder, opened.
    let mailbox: OpenFile
    let core: StoreCore

    /// Those that are there or tombstoned. Whatever made them so is durable then: another process may have made it a moment
    /// ago, and not have synced it yet.
    func findDurable(_ messages: [NamedMessage]) throws(MaildirError) -> Set<[UInt8]> {
        var found = try Tombstones.find(messages, in: mailbox, folder, core)
        let left = Set(messages.map(\.identity)).subtracting(found)
        if !left.isEmpty { found.formUnion(try findFiles(of: left)) }
        if found.isEmpty { return found }
        try MailboxFolder.syncNames(in: mailbox, core)
        return found
    }

    private func findFiles(of identities: Set<[UInt8]>) throws(MaildirError) -> Set<[UInt8]> {
        guard let map = core.maps.find(folder) else { return try read(for: identities) }
        // Before the map is asked how young it is, so that none of them is forgotten meanwhile.
        let linked = core.maps.linked(of: identities, to: folder)
        let rest = try map.rest(of: mailbox, core)
        var (found, doubtful): (Set<[UInt8]>, Set<[UInt8]>) = ([], [])
        for identity in identities {
            if let path = map.path(of: identity) {
                if try isThere(path) { found.insert(identity) } else { doubtful.insert(identity) }
            } else if !isProvenAbsent(identity, rest, linked) {
                doubtful.insert(identity)
            }
        }
        return doubtful.isEmpty ? found : found.union(try read(for: doubtful))
    }

    /// Of a message that the map does not show. The name that another tool gave its file is not the one that copies have.
    private func isProvenAbsent(_ identity: [UInt8], _ rest: MessageMap.Rest, _ linked: Set<[UInt8]>) -> Bool {
        switch rest {
        case .nothing: true
        case .deliveries:
            !linked.contains(identity) && identity.withUnsafeBytes { MessageNameBytes.mintedSeconds($0) != nil }
        case .anything: false
        }
    }

    private func isThere(_ path: [UInt8]) throws(MaildirError) -> Bool {
        try withPath(path) { pointer throws(MaildirError) in
            var status = stat()
            if fstatat(mailbox.descriptor, pointer, &status, AT_SYMLINK_NOFOLLOW) == 0 { return true }
            if errno == ENOENT { return false }
            throw .failed("stat", pointer)
        }
    }

    /// Reads the directories, and keeps the map. A file may move while one directory was read and not yet the other: only
    /// the second miss is final, unless nothing can have moved.
    private func read(for identities: Set<[UInt8]>) throws(MaildirError) -> Set<[UInt8]> {
        var map = try MessageMap(of: mailbox, core, after: nil)
        var found = identities.filter { map.path(of: $0) != nil }
        if found.count < identities.count, try !map.isFinal(for: mailbox, core) {
            map = try MessageMap(of: mailbox, core, after: map)
            found.formUnion(identities.filter { map.path(of: $0) != nil })
        }
        // What another host moves, an NFS client may not see at once.
        if !map.isRemote { core.maps.keep(map, for: folder) }
        return found
    }
}
