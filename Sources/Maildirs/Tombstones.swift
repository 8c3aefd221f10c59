import Glibc
import Mail

// gone/ is a set that only grows: files that never change, each with the identities that one session deleted, one a
// line. A file's name is unique in the world, like a message's, and the same on every replica of the mailbox.
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
    /// The most identities in one file: a session that deletes more leaves several.
    static let identitiesMax = 10_000
    private static let fileBytesMax = 64 << 20

    /// All of them, as they are on disk now.
    static func exact(in mailbox: OpenFile) throws(MaildirError) -> Set<[UInt8]> {
        var identities: Set<[UInt8]> = []
        try forEachFile(in: mailbox) { name throws(MaildirError) in
            try forEachIdentity(of: name, in: mailbox) { identities.insert(Array($0)) }
        }
        return identities
    }

    static func forEachFile(
        in mailbox: OpenFile, _ body: ([UInt8]) throws(MaildirError) -> Void
    ) throws(MaildirError) {
        let directory = try ifThere { () throws(MaildirError) in try OpenDirectory("gone", in: mailbox) }
        while let entry = try directory?.next() {
            if entry.mayBeFile, entry.name.first != UInt8(ascii: ".") { try body(Array(entry.name)) }
        }
    }

    /// A file that was expired meanwhile names nothing. One that cannot be read is an error: what it deleted must not show.
    static func forEachIdentity(
        of name: [UInt8], in mailbox: OpenFile, _ body: (ArraySlice<UInt8>) -> Void
    ) throws(MaildirError) {
        guard let bytes = try contents(of: name, in: mailbox) else { return }
        for line in bytes.split(separator: UInt8(ascii: "\n")) { body(line) }
    }

    /// The whole file; nil if it is not there.
    static func contents(of name: [UInt8], in mailbox: OpenFile) throws(MaildirError) -> [UInt8]? {
        let path = Array("gone/".utf8) + name
        return try ifThere { () throws(MaildirError) in try wholeFile(path, in: mailbox) }
    }

    /// Makes a tombstone durable. One that is there already under this name is the same.
    static func write(
        _ lines: [UInt8], named name: String, in mailbox: OpenFile, folder: MailboxFolder, core: StoreCore
    ) throws(MaildirError) {
        let home = try DeliveryFolder(folder, mailbox: mailbox)
        let gone = try OpenFile.openDirectory("gone", in: mailbox.descriptor)
        let temporary = core.names.temporary(for: name)
        let file = try Delivery.create(temporary, in: home, faults: core.options.faults)
        defer { unlinkat(home.tmp.descriptor, temporary, 0) }
        try file.write(lines, name: temporary)
        try file.sync(temporary)
        if linkat(home.tmp.descriptor, temporary, gone.descriptor, name, 0) != 0 {
            let error = MaildirError.failed("link", name)
            if error.errorNumber != EEXIST, try file.status().st_nlink < 2 { throw error }
        }
        try gone.sync("gone")
    }

    private static func wholeFile(_ path: [UInt8], in mailbox: OpenFile) throws(MaildirError) -> [UInt8] {
        let text = String(decoding: path, as: UTF8.self)
        let file = try withPath(path) { pointer throws(MaildirError) in
            try OpenFile.open(pointer, in: mailbox.descriptor)
        }
        return try file.contents(bytesMax: fileBytesMax, name: text)
    }
}

/// What a listing remembers of `gone/`, so that it need not read again what never changes: hashes, which may only hint.
struct TombstoneIndex: Sendable {
    /// The files that are there, and were read.
    private var files: Set<[UInt8]> = []
    private var hashes: Set<UInt64> = []

    var isEmpty: Bool { hashes.isEmpty }
    var bytes: Int { files.count * 96 + hashes.count * 16 }

    mutating func update(from mailbox: OpenFile) throws(MaildirError) {
        var present: Set<[UInt8]> = []
        try Tombstones.forEachFile(in: mailbox) { name throws(MaildirError) in
            present.insert(name)
            if files.contains(name) { return }
            try Tombstones.forEachIdentity(of: name, in: mailbox) { identity in
                identity.withUnsafeBytes { bytes in _ = hashes.insert(Self.hash(bytes)) }
            }
        }
        files = present
    }

    /// The names of the files that were made since then, in their order.
    func names(since limit: FileTime) -> [[UInt8]] {
        files.filter { name in
            name.withUnsafeBytes { (MessageNameBytes($0)?.seconds).map { $0 >= limit.seconds } ?? true }
        }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// True for every file whose identity is tombstoned, and by chance for another.
    func mayContain(identityOf stem: UnsafeRawBufferPointer) -> Bool {
        StemIdentity.bytes(of: stem).withUnsafeBytes { hashes.contains(Self.hash($0)) }
    }

    private static func hash(_ identity: UnsafeRawBufferPointer) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(bytes: identity)
        return UInt64(bitPattern: Int64(hasher.finalize()))
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
