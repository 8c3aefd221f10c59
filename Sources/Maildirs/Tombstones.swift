import Glibc

// gone/ is a set that only grows: files that never change, each with the stems that one session deleted, one a line.
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

/// The stems that were deleted from a mailbox.
enum Tombstones {
    private static let fileBytesMax = 64 << 20

    /// All of them, as they are on disk now.
    static func exact(in mailbox: OpenFile) throws(MaildirError) -> Set<[UInt8]> {
        var stems: Set<[UInt8]> = []
        try forEachFile(in: mailbox) { name throws(MaildirError) in
            try forEachStem(of: name, in: mailbox) { stem in stems.insert(Array(stem)) }
        }
        return stems
    }

    static func forEachFile(
        in mailbox: OpenFile, _ body: ([UInt8]) throws(MaildirError) -> Void
    ) throws(MaildirError) {
        let directory = try ifThere { () throws(MaildirError) in try OpenDirectory("gone", in: mailbox) }
        while let entry = try directory?.next() {
            if entry.mayBeFile, entry.name.first != UInt8(ascii: ".") { try body(Array(entry.name)) }
        }
    }

    /// A file that was expired meanwhile has no stems. One that cannot be read is an error: what it deleted must not show.
    static func forEachStem(
        of name: [UInt8], in mailbox: OpenFile, _ body: (ArraySlice<UInt8>) -> Void
    ) throws(MaildirError) {
        let path = Array("gone/".utf8) + name
        guard let bytes = try ifThere({ () throws(MaildirError) in try wholeFile(path, in: mailbox) }) else { return }
        for line in bytes.split(separator: UInt8(ascii: "\n")) { body(line) }
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
    private var files: Set<[UInt8]> = []
    private var hashes: Set<UInt64> = []

    var isEmpty: Bool { hashes.isEmpty }
    var bytes: Int { files.count * 96 + hashes.count * 16 }

    mutating func update(from mailbox: OpenFile) throws(MaildirError) {
        try Tombstones.forEachFile(in: mailbox) { name throws(MaildirError) in
            if files.contains(name) { return }
            try Tombstones.forEachStem(of: name, in: mailbox) { stem in
                stem.withUnsafeBytes { bytes in _ = hashes.insert(Self.hash(bytes)) }
            }
            files.insert(name)
        }
    }

    /// True for every stem that is tombstoned, and by chance for another.
    func mayContain(_ stem: UnsafeRawBufferPointer) -> Bool { hashes.contains(Self.hash(stem)) }

    private static func hash(_ stem: UnsafeRawBufferPointer) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(bytes: stem)
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
