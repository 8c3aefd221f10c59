import Digests
import Glibc
import Mail

/// The content digest of a message's file: SHA-256, cut to 128 bits, over all of it but the fields that each way of the
/// message writes anew: `Received:` with its folded lines, and `Delivered-To:`. `Return-Path:`, the sender, counts. Where
/// messages of several recipients lie in one folder, `Delivered-To:` counts too.
///
/// It is a function of the file alone, so each copy has the same. Only a message with a Message-ID has one: without it
/// two messages may well be equal. Holds back the beginning of a line at most, whatever the header is like.
struct ContentScanner: ~Copyable {
    private enum Place {
        /// At a line's start, or in a field's name, which is held back.
        case name
        case kept, setAside
        case body
        /// Nothing counts any more: there is no Message-ID.
        case nowhere
    }

    private let countsRecipient: Bool
    private var hash = RunningSHA256()
    private var place = Place.name
    private var hasMessageID = false
    /// The field that a folded line belongs to.
    private var isFieldKept = true
    /// What counts and is not hashed yet.
    private var pending: [UInt8] = []
    /// Where the line whose name is being read begins in `pending`.
    private var lineStart = 0
    private var name = FieldName()

    private static let pendingMax = 4096
    /// A name with the blanks behind it.
    private static let nameBytesMax = 48
    private static let lineFeed = UInt8(ascii: "\n")

    init(countsRecipient: Bool = false) {
        self.countsRecipient = countsRecipient
        pending.reserveCapacity(Self.pendingMax)
    }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var at = 0
        while at < bytes.count {
            switch place {
            case .name: scanName(bytes, &at)
            case .kept, .setAside: scanLine(bytes, &at)
            case .body:
                hash.update(UnsafeRawBufferPointer(rebasing: bytes[at...]))
                return
            case .nowhere: return
            }
        }
    }

    /// Nil for a message without a Message-ID.
    consuming func finish() -> ContentDigest? {
        guard hasMessageID else { return nil }
        flush()
        return hash.finish().withUnsafeBytes { bytes in
            ContentDigest(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    private mutating func scanName(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) {
        if pending.count == lineStart {
            if bytes[at] == Self.lineFeed { return endHeader(&at) }
            if Self.isBlank(bytes[at]) { return begin(isKept: isFieldKept) }
            if !FieldName.mayMatter(bytes[at]) { return begin(isKept: true) }
        }
        let start = at
        while at < bytes.count {
            let byte = bytes[at]
            // Blanks before the colon may be any number.
            let isTooLong = name.isTooLong || pending.count - lineStart + at - start > Self.nameBytesMax
            if isTooLong || byte == UInt8(ascii: ":") || byte == Self.lineFeed {
                pending.append(contentsOf: bytes[start..<at])
                // A line without a colon is no field: it stays, as does one whose name is of no interest.
                return isTooLong || byte == Self.lineFeed ? begin(isKept: true) : endName()
            }
            name.append(byte)
            at += 1
        }
        pending.append(contentsOf: bytes[start..<at])
    }

    private mutating func endName() {
        let isTrace = name == .received || (!countsRecipient && name == .deliveredTo)
        if name == .messageID { hasMessageID = true }
        begin(isKept: !isTrace)
    }

    private mutating func begin(isKept: Bool) {
        isFieldKept = isKept
        place = isKept ? .kept : .setAside
        if !isKept { pending.removeLast(pending.count - lineStart) }
        name = FieldName()
    }

    private mutating func scanLine(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) {
        let end = bytes[at...].firstLineFeed.map { $0 + 1 } ?? bytes.count
        if place == .kept { keep(UnsafeRawBufferPointer(rebasing: bytes[at..<end])) }
        if bytes[end - 1] == Self.lineFeed {
            place = .name
            lineStart = pending.count
        }
        at = end
    }

    private mutating func keep(_ bytes: UnsafeRawBufferPointer) {
        if pending.count + bytes.count > Self.pendingMax { flush() }
        if bytes.count > Self.pendingMax { hash.update(bytes) } else { pending.append(contentsOf: bytes) }
    }

    private mutating func endHeader(_ at: inout Int) {
        guard hasMessageID else {
            pending = []
            return place = .nowhere
        }
        pending.append(Self.lineFeed)
        flush()
        place = .body
        at += 1
    }

    private mutating func flush() {
        pending.withUnsafeBytes { hash.update($0) }
        pending.removeAll(keepingCapacity: true)
        lineStart = 0
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}

extension Slice<UnsafeRawBufferPointer> {
    fileprivate var firstLineFeed: Int? {
        guard let start = base.baseAddress, let found = memchr(start + startIndex, 0x0A, count) else { return nil }
        return UnsafeRawPointer(found) - start
    }
}
