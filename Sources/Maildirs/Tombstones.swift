import Cluster
import Glibc
import Mail

// gone/ is a set that only grows: files that never change, each with what one session deleted, one a line: the identity
// and, where the message's name told it, its content's digest (see TombstoneLine). A file's name is unique in the world, like a message's, and the same on every replica of the mailbox.
//
// | done                     | on disk after a crash        | why that is safe                                      |
// |--------------------------|------------------------------|-------------------------------------------------------|
// | tmp/ file written, synced| a tmp/ file                  | nothing is deleted, and nothing was said               |
// | linked to gone/          | in gone/, or not             | the session had asked for it; deleted or not, whole    |
// | gone/ synced             | in gone/                     | from now on no listing shows the messages              |
// | some files unlinked      | in gone/, some files left    | listings leave them out, and remove them               |
// | +OK said                 | in gone/                     | a repeat or a merge finds the tombstone: it stays away |
//
// The tombstone comes first: the other way round, a crash would leave a message that is gone here and that another copy
// brings back though its reader saw it deleted. Only a full disk turns the order round: the session asked for these
// messages to be removed, so their room is used for the tombstone, and until that is durable the answer is an error.

/// The identities that were deleted from a mailbox.
enum Tombstones {
    /// The most lines in one file: a session that deletes more leaves several.
    static let linesMax = 10_000
    private static let pieceBytes = 64 << 10
    /// What is longer than any identity and its neighbours is no list of identities.
    private static let lineMax = 4096

    /// The identities of those that are deleted, as it is on disk now: files that came since the mailbox was asked about last
    /// are read, and of the others those that may name one of the messages.
    static func find(
        _ messages: [NamedMessage], in mailbox: OpenFile, _ folder: MailboxFolder, _ core: StoreCore
    ) throws(MaildirError) -> Set<[UInt8]> {
        if messages.isEmpty { return [] }
        let known = core.maps.tombstones(of: folder)
        var index = known ?? TombstoneIndex()
        let hasChanged = try index.update(from: mailbox, core)
        if known == nil || hasChanged { core.maps.keep(index, for: folder) }
        return try find(messages, in: mailbox, by: index, core)
    }

    /// - Parameter index: was updated from the mailbox.
    static func find(
        _ messages: [NamedMessage], in mailbox: OpenFile, by index: TombstoneIndex, _ core: StoreCore
    ) throws(MaildirError) -> Set<[UInt8]> {
        let window = core.options.resendWindow
        var found: Set<[UInt8]> = []
        var (identities, contents): (Set<[UInt8]>, [ContentDigest: [NamedMessage]]) = ([], [:])
        var files: Set<[UInt8]> = []
        for message in messages {
            identities.insert(message.identity)
            files.formUnion(index.files(of: message.identity[...]))
            if let content = message.content, !window.isOff {
                contents[content.digest, default: []].append(message)
                files.formUnion(index.files(of: content.digest))
            }
        }
        for name in files {
            try forEachLine(of: name, in: mailbox, core) { line in
                let identity = Array(line.identity)
                if identities.contains(identity) { found.insert(identity) }
                guard !contents.isEmpty, let deleted = line.content else { return }
                for message in contents[deleted.digest] ?? [] {
                    guard let seconds = message.content?.seconds else { continue }
                    if window.reaches(from: deleted.seconds, to: seconds) { found.insert(message.identity) }
                }
            }
        }
        return found
    }

    static func forEachFile(
        in mailbox: OpenFile, _ body: ([UInt8]) throws(MaildirError) -> Void
    ) throws(MaildirError) {
        let directory = try ifThere { () throws(MaildirError) in try OpenDirectory("gone", in: mailbox) }
        while let entry = try directory?.next() {
            if entry.mayBeFile, entry.name.first != UInt8(ascii: ".") { try body(Array(entry.name)) }
        }
    }

    /// A file that was expired meanwhile names nothing: false. One that cannot be read is an error: what it deleted must not
    /// show.
    @discardableResult
    static func forEachLine(
        of name: [UInt8], in mailbox: OpenFile, _ core: StoreCore, _ body: (TombstoneLine) -> Void
    ) throws(MaildirError) -> Bool {
        let text = String(decoding: name, as: UTF8.self)
        try core.options.faults?.check(.open, "gone/\(text)")
        guard let file = try open(name, in: mailbox) else { return false }
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 16)
        defer { piece.deallocate() }
        var (rest, offset): ([UInt8], Int) = ([], 0)
        while case let count = try file.read(into: piece, at: offset, name: text), count > 0 {
            offset += count
            rest.append(contentsOf: piece[..<count])
            takeLines(from: &rest, body)
            if rest.count > lineMax { rest.removeAll() }
        }
        if !rest.isEmpty { body(TombstoneLine(rest[...])) }
        return true
    }

    /// Gives `body` each line that is whole, and leaves what is not.
    private static func takeLines(from bytes: inout [UInt8], _ body: (TombstoneLine) -> Void) {
        var start = 0
        while let end = lineEnd(in: bytes, from: start) {
            if end > start { body(TombstoneLine(bytes[start..<end])) }
            start = end + 1
        }
        bytes.removeFirst(start)
    }

    private static func lineEnd(in bytes: [UInt8], from start: Int) -> Int? {
        bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, let end = memchr(base + start, 0x0A, bytes.count - start) else {
                return nil
            }
            return UnsafeRawPointer(end) - base
        }
    }

    /// The whole file; nil if it is not there.
    static func contents(of name: [UInt8], in mailbox: OpenFile) throws(MaildirError) -> [UInt8]? {
        try open(name, in: mailbox)?.contents(bytesMax: .max, name: String(decoding: name, as: UTF8.self))
    }

    private static func open(_ name: [UInt8], in mailbox: OpenFile) throws(MaildirError) -> OpenFile? {
        try ifThere { () throws(MaildirError) in
            try withPath(Array("gone/".utf8) + name) { path throws(MaildirError) in
                try OpenFile.open(path, in: mailbox.descriptor)
            }
        }
    }

    /// Makes a tombstone durable in the spools of the sites that are to have it, before it is in the mailbox: who carries it
    /// there makes sure first that the mailbox has it.
    ///
    /// - Returns: the spools that are too full for it, to be confirmed when the mailbox has it.
    static func spool(
        _ tombstone: Tombstone, for sites: SiteSpools, of key: MailboxKey, in root: OpenFile, _ core: StoreCore
    ) throws(MaildirError) -> [MailboxFolder] {
        var leftOut: [MailboxFolder] = []
        for folder in sites.folders(of: key) {
            if core.leavesOut(folder) {
                leftOut.append(folder)
                continue
            }
            let spool = try core.folders.make(folder, in: root)
            let outcome = try write(
                tombstone.lines, named: tombstone.name.text, in: spool, folder: folder, core: core)
            if outcome == .made { core.gauges.changed(folder, by: 1) }
        }
        return leftOut
    }

    /// Whether the mailbox has a tombstone of that name, for good.
    static func isDurable(_ name: MessageIdentity, in mailbox: OpenFile) throws(MaildirError) -> Bool {
        guard try open(Array(name.text.utf8), in: mailbox) != nil else { return false }
        try OpenFile.openDirectory("gone", in: mailbox.descriptor).sync("gone")
        return true
    }

    /// Makes a tombstone durable, in the spools of sites too, then removes what it names: `remove` does that. On a full disk
    /// the other way round, so that what goes makes room for saying so.
    static func write(
        _ tombstone: Tombstone, in mailbox: OpenFile, _ folder: MailboxFolder, sites: SiteSpools, of key: MailboxKey,
        _ root: OpenFile, _ core: StoreCore, remove: () throws(MaildirError) -> Void
    ) throws(MaildirError) {
        func write() throws(MaildirError) {
            let leftOut = try spool(tombstone, for: sites, of: key, in: root, core)
            try Self.write(tombstone.lines, named: tombstone.name.text, in: mailbox, folder: folder, core: core)
            try core.confirm(leftOut: leftOut)
        }
        do throws(MaildirError) {
            try write()
        } catch {
            guard error.isFull else { throw error }
            try remove()
            for part in ["new", "cur"] { try? OpenFile.openDirectory(part, in: mailbox.descriptor).sync(part) }
            try write()
        }
        try remove()
    }

    /// Makes a tombstone durable. One that is there already under this name is the same.
    @discardableResult
    static func write(
        _ lines: [UInt8], named name: String, in mailbox: OpenFile, folder: MailboxFolder, core: StoreCore
    ) throws(MaildirError) -> ExclusiveLink.Outcome {
        let home = try DeliveryFolder(folder, mailbox: mailbox)
        let gone = try OpenFile.openDirectory("gone", in: mailbox.descriptor)
        let temporary = core.names.temporary(for: name)
        let file = try Delivery.create(temporary, in: home, faults: core.options.faults)
        defer { unlinkat(home.tmp.descriptor, temporary, 0) }
        try file.write(lines, name: temporary)
        try file.sync(temporary)
        let outcome = try ExclusiveLink.make(
            file, at: temporary, in: home.tmp, as: name, in: gone, fault: core.options.faults?.decide(.link, name))
        try gone.sync("gone")
        return outcome
    }
}

/// Gives `body` the bytes as a C string.
func withPath<Value>(
    _ path: [UInt8], _ body: (UnsafePointer<CChar>) throws(MaildirError) -> Value
) throws(MaildirError) -> Value {
    let terminated = path + [0]
    return try terminated.withUnsafeBufferPointer { bytes throws(MaildirError) in
        try bytes.withMemoryRebound(to: CChar.self) { characters throws(MaildirError) in
            guard let start = characters.baseAddress else { throw .failed(operation: "open", path: "", errno: EINVAL) }
            return try body(start)
        }
    }
}
