package import Cluster
package import Mail
import Synchronization

/// The messages of a mailbox at one moment, in the order that every replica shows them in; it does not change any more.
///
/// Compact, for mailboxes with a hundred thousand messages: 16 bytes a message besides its file name, which is packed.
package final class MaildropSnapshot: Sendable {
    struct Record: Sendable {
        let offset: UInt32
        let nameLength: UInt8
        let stemLength: UInt8
        let isInCur: Bool
        let form: PackedName.Form
        let octets: UInt64
    }

    /// A message that is another one's repeat (see `ResendWindow`): part of the replica, but no client sees it.
    struct Hidden: Sendable {
        let index: UInt32
        /// The message that shows in its place.
        let shown: UInt32
    }

    package let mailbox: MailboxName
    package let partition: Int
    package var key: MailboxKey { MailboxKey(mailbox: mailbox, partition: partition) }
    /// The sum of all messages' octets, hidden ones too.
    package let octets: Int
    /// Names of the mailbox's tombstones that are still of any use, as bytes.
    let tombstones: [[UInt8]]
    let folder: MailboxFolder
    private let records: [Record]
    private let names: [UInt8]
    /// In the order of their places.
    let hidden: [Hidden]
    private let knownDigest = Mutex<MailboxDigest?>(nil)
    let moved = MovedMessages()

    init(
        key: MailboxKey, folder: MailboxFolder, records: [Record] = [], names: [UInt8] = [],
        hidden: [Hidden] = [], tombstones: [[UInt8]] = []
    ) {
        mailbox = key.mailbox
        partition = key.partition
        self.folder = folder
        self.records = records
        self.names = names
        self.hidden = hidden
        self.tombstones = tombstones
        octets = records.reduce(0) { $0 &+ Int(truncatingIfNeeded: $1.octets) }
    }

    package var count: Int { records.count }

    /// No message and no tombstone.
    package var isEmpty: Bool { records.isEmpty && tombstones.isEmpty }

    /// Octets of a message as POP3 sends it, before dot-stuffing: LF as CRLF, the last line ended.
    package func octets(at index: Int) -> Int { Int(truncatingIfNeeded: records[index].octets) }

    /// Octets of its file, if its name tells them in the form of ours.
    func diskOctets(at index: Int) -> Int? {
        let record = records[index]
        return PackedName.diskOctets(
            Self.stored(record, in: names), stemLength: Int(record.stemLength), record.form)
    }

    /// The message's UIDL: its identity, or "h" and 32 hexadecimal digits for a foreign name that cannot be one.
    package func uidl(at index: Int) -> String {
        var bytes: [UInt8] = []
        appendUIDL(at: index, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The UIDL behind what `output` holds, without making a string.
    package func appendUIDL(at index: Int, to output: inout [UInt8]) {
        withStem(at: index) { StemIdentity.append($0, to: &output) }
    }

    package subscript(index: Int) -> SnapshotEntry {
        SnapshotEntry(
            uidl: uidl(at: index), octets: octets(at: index), fileName: name(at: index), isInCur: records[index].isInCur
        )
    }

    func name(at index: Int) -> [UInt8] { Self.name(of: records[index], in: names) }

    static func name(of record: Record, in names: [UInt8]) -> [UInt8] {
        var name: [UInt8] = []
        appendName(of: record, in: names, to: &name)
        return name
    }

    private static func appendName(of record: Record, in names: [UInt8], to path: inout [UInt8]) {
        PackedName.appendUnpacked(
            stored(record, in: names), stemLength: Int(record.stemLength), record.form,
            wireOctets: Int(truncatingIfNeeded: record.octets), to: &path)
    }

    /// The name as it is kept.
    private static func stored(_ record: Record, in names: [UInt8]) -> ArraySlice<UInt8> {
        let start = Int(record.offset)
        return names[start..<start + Int(record.nameLength)]
    }

    /// These messages, and those that are hidden behind them.
    func withHidden(_ indices: [Int]) -> [Int] {
        if hidden.isEmpty { return indices }
        let all = Set(indices)
        return indices
            + hidden.filter { all.contains(Int($0.shown)) }.map { Int($0.index) }.filter { !all.contains($0) }
    }

    func identity(at index: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        appendUIDL(at: index, to: &bytes)
        return bytes
    }

    /// `new/NAME` or `cur/NAME`, below the mailbox's folder.
    func path(at index: Int) -> [UInt8] {
        var path: [UInt8] = []
        // The part's name, a slash, the longest file name and the end of a C string.
        path.reserveCapacity(260)
        appendPath(at: index, to: &path)
        return path
    }

    /// The same, below the root.
    func fullPath(at index: Int) -> [UInt8] {
        var path: [UInt8] = []
        // The longest file name, two slashes, the part's name and the end of a C string.
        path.reserveCapacity(folder.path.utf8.count + 261)
        path.append(contentsOf: folder.path.utf8)
        path.append(UInt8(ascii: "/"))
        appendPath(at: index, to: &path)
        return path
    }

    private func appendPath(at index: Int, to path: inout [UInt8]) {
        let record = records[index]
        path.append(contentsOf: (record.isInCur ? "cur/" : "new/").utf8)
        Self.appendName(of: record, in: names, to: &path)
    }

    /// What the message's file name promises of its bytes; nil for a foreign name.
    package func promise(at index: Int) -> CopyPromise? { name(at: index).withUnsafeBytes { CopyPromise($0) } }

    /// Where the message's file was, below the root.
    package func file(at index: Int) -> String {
        String(decoding: fullPath(at: index), as: UTF8.self)
    }

    /// What it costs to keep.
    var bytes: Int {
        names.capacity + records.capacity * MemoryLayout<Record>.stride
            + hidden.capacity * MemoryLayout<Hidden>.stride + tombstones.count * 128 + 256
    }

    /// What other replicas compare with theirs.
    package var digest: MailboxDigest {
        if let known = knownDigest.withLock({ $0 }) { return known }
        var digest = MailboxDigest()
        var uidl: [UInt8] = []
        for index in records.indices {
            uidl.removeAll(keepingCapacity: true)
            appendUIDL(at: index, to: &uidl)
            uidl.withUnsafeBytes { digest.add(message: $0) }
        }
        for name in tombstones { name.withUnsafeBytes { digest.add(tombstone: $0) } }
        knownDigest.withLock { $0 = digest }
        return digest
    }

    /// The names of the tombstones.
    package var tombstoneNames: [String] { tombstones.map { String(decoding: $0, as: UTF8.self) } }

    /// When the oldest message or tombstone was made, in seconds since 1970, as its name tells; nil if there is none, and 0 for a
    /// name that does not tell.
    package var oldest: Int64? {
        let names = (count > 0 ? [identity(at: 0)] : []) + tombstones
        return names.map { name in name.withUnsafeBytes { MessageNameBytes($0)?.seconds ?? 0 } }.min()
    }

    private func withStem(at index: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        let record = records[index]
        let start = Int(record.offset)
        names.withUnsafeBytes { all in
            body(UnsafeRawBufferPointer(rebasing: all[start..<start + Int(record.stemLength)]))
        }
    }
}

/// One message of a snapshot, spelled out.
package struct SnapshotEntry: Hashable, Sendable {
    package let uidl: String
    package let octets: Int
    /// As it was at the time of the snapshot; bytes, because a foreign tool's name may be no text.
    package let fileName: [UInt8]
    package let isInCur: Bool
}
