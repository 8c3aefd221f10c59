import Mail

/// Reads along in a message's header for what ends mail loops (RFC 5321 §6.3): how often the message was received, and
/// to whom it was delivered before. Bounded memory; stops at the empty line that ends the header.
package struct HeaderScanner: Sendable {
    /// What the header told.
    package struct Findings: Hashable, Sendable {
        /// How many `Received:` fields there are.
        package var receivedCount = 0
        /// The values of the first `Delivered-To:` fields, without blanks, the domain in lower case.
        package var deliveredTo: [String] = []
        package var hasMessageID = false
        /// Whether the first line begins with a blank: a field put on top of it would swallow it as its continuation.
        package var beginsWithBlank = false

        package init() {}

        /// Whether the message says that it was delivered to this address before.
        package func wasDelivered(to address: String) -> Bool {
            !deliveredTo.isEmpty && deliveredTo.contains(HeaderScanner.normal(Array(address.utf8)))
        }
    }

    private enum Field {
        case name, deliveredTo, other
    }

    package private(set) var findings = Findings()
    package private(set) var isFinished = false
    private var field = Field.other
    private var atLineStart = true
    private var isFirstLine = true
    private var name = FieldName()
    /// The value of `Delivered-To:` as far as it came.
    private var value: [UInt8] = []

    private static let deliveredToMax = 64
    private static let valueBytesMax = 330

    package init() {}

    /// Takes the next bytes of the message.
    package mutating func scan(_ bytes: UnsafeRawBufferPointer) {
        var at = 0
        while at < bytes.count, !isFinished {
            if atLineStart {
                atLineStart = false
                beginLine(with: bytes[at])
                if isFinished { return }
            }
            at = scanLine(bytes, from: at)
        }
    }

    private mutating func beginLine(with byte: UInt8) {
        defer { isFirstLine = false }
        if ASCII.isBlank(byte) {  // folded: the field goes on
            findings.beginsWithBlank = findings.beginsWithBlank || isFirstLine
            return
        }
        endField()
        if byte == ASCII.cr || byte == ASCII.lf {
            isFinished = true
            value = []
        } else {
            field = FieldName.mayMatter(byte) ? .name : .other
            name = FieldName()
        }
    }

    private mutating func scanLine(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        let lineEnd = bytes.position(of: ASCII.lf, from: start, to: bytes.count)
        let end = lineEnd ?? bytes.count
        var at = start
        while field == .name, at < end {
            scanName(bytes[at])
            at += 1
        }
        if field == .deliveredTo, at < end {
            value.append(
                contentsOf: bytes[at..<min(end, at + Self.valueBytesMax - min(value.count, Self.valueBytesMax))])
        }
        guard lineEnd != nil else { return end }
        atLineStart = true
        if field == .name { field = .other }
        return end + 1
    }

    private mutating func scanName(_ byte: UInt8) {
        guard byte != ASCII.colon else { return nameEnded() }
        name.append(byte)
        if name.isTooLong { field = .other }
    }

    private mutating func nameEnded() {
        field = name == .deliveredTo ? .deliveredTo : .other
        if name == .received { findings.receivedCount += 1 }
        if name == .messageID { findings.hasMessageID = true }
    }

    private mutating func endField() {
        if field == .deliveredTo, findings.deliveredTo.count < Self.deliveredToMax {
            findings.deliveredTo.append(Self.normal(value))
        }
        field = .other
        value.removeAll(keepingCapacity: true)
    }

    /// An address without blanks and angle brackets, its domain in lower case.
    static func normal(_ value: [UInt8]) -> String {
        var text = value.filter { $0 > ASCII.space && $0 != ASCII.less && $0 != ASCII.greater }
        if let at = text.lastIndex(of: ASCII.at) {
            for index in at..<text.count where ASCII.isLetter(text[index]) { text[index] |= 0x20 }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
