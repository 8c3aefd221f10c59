/// What a message is called in the whole world: the part of its file name before the first comma or colon.
///
/// Two copies of one message have the same identity, two messages never do. It is also the message's UIDL, so it is
/// 1 to 70 printable characters (RFC 1939 §7).
package struct MessageIdentity: Hashable, Sendable, Comparable {
    package let text: String

    package static let lengthMax = 70

    /// Nil unless `text` is 1 to 70 characters of 0x21 to 0x7E without `,`, `:` and `/`, and does not start with a dot.
    package init?(_ text: String) {
        let bytes = text.utf8
        guard (1...Self.lengthMax).contains(bytes.count), bytes.first != UInt8(ascii: "."),
            bytes.allSatisfy(Self.isAllowed)
        else { return nil }
        self.text = text
    }

    package init?(_ text: Substring) { self.init(String(text)) }

    /// Mints a name: `<seconds>.M<micros>P<process>Q<counter>R<random>.<origin>`.
    ///
    /// - Parameters:
    ///   - seconds, micros: the time of arrival, since 1970 in UTC; what follows keeps names apart when clocks agree.
    ///   - process: the frontend's process number.
    ///   - counter: different for each message of that process.
    ///   - random: 32 random bits, drawn once per message.
    ///   - origin: the frontend's name; bytes that a name cannot hold become "_", and what is too long is cut.
    package init(
        seconds: Int64, micros: Int32, process: Int32, counter: UInt64, random: UInt32, origin: String
    ) {
        text = String(unsafeUninitializedCapacity: Self.lengthMax) { room in
            var writer = NameWriter(room)
            writer.append(seconds)
            writer.append(".M")
            writer.append(Int64(micros))
            writer.append("P")
            writer.append(Int64(process))
            writer.append("Q")
            writer.append(counter)
            writer.append("R")
            writer.append(UInt64(random), radix: 16)
            writer.append(".")
            for byte in origin.utf8 { writer.append(Self.isAllowed(byte) ? byte : UInt8(ascii: "_")) }
            return writer.count
        }
    }

    package static func < (left: MessageIdentity, right: MessageIdentity) -> Bool { left.text < right.text }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "/"): false
        case 0x21...0x7E: true
        default: false
        }
    }
}

/// Writes a name into room that is given; what does not fit is left out.
private struct NameWriter {
    private let room: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(_ room: UnsafeMutableBufferPointer<UInt8>) { self.room = room }

    mutating func append(_ byte: UInt8) {
        guard count < room.count else { return }
        room[count] = byte
        count += 1
    }

    mutating func append(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { append(text.utf8Start[index]) }
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            let end = room[count...].update(fromContentsOf: bytes.prefix(room.count - count))
            count = end
        }
    }

    mutating func append(_ number: Int64) {
        if number < 0 { append(UInt8(ascii: "-")) }
        append(number.magnitude)
    }

    mutating func append(_ number: UInt64, radix: UInt64 = 10, digits: Int = 1) {
        var divisor: UInt64 = 1
        for _ in 1..<digits { divisor *= radix }
        while number / divisor >= radix { divisor *= radix }
        while divisor > 0 {
            let digit = UInt8(number / divisor % radix)
            append(digit < 10 ? 0x30 + digit : 0x57 + digit)
            divisor /= radix
        }
    }
}

extension MessageIdentity: CustomStringConvertible {
    package var description: String { text }
}

/// The name of a message's file in a Maildir, taken apart:
/// `<identity>[,S=<n>][,W=<n>][,C=<checksum>][,D=<digest>][:2,<flags>]`.
///
/// Names that other tools made are taken too: `stem` is whatever stands before the first comma or colon.
package struct MessageFileName: Hashable, Sendable {
    /// What stands before the first comma or colon. The same for all names that one message ever has.
    package let stem: String
    /// Octets on disk, with LF line ends, if the name says so.
    package let diskOctets: Int?
    /// Octets with CRLF line ends, as POP3 sends them before dot-stuffing, if the name says so.
    package let wireOctets: Int?
    /// XXH64 of the bytes on disk, if the name says so: 16 hexadecimal digits, as `xxhsum -H64` prints them.
    package let checksum: UInt64?
    /// What the message's sender sent, if the name says so: only for messages with a Message-ID.
    package let digest: ContentDigest?
    /// What stands behind the first colon (`2,S`), without the colon; empty if there is none.
    package let info: String

    package init(
        identity: MessageIdentity, diskOctets: Int, wireOctets: Int, checksum: UInt64? = nil,
        digest: ContentDigest? = nil
    ) {
        stem = identity.text
        self.diskOctets = diskOctets
        self.wireOctets = wireOctets
        self.checksum = checksum
        self.digest = digest
        info = ""
    }

    /// Nil for names that are no message: empty, hidden (leading dot), or without anything before the first comma.
    package init?(fileName: String) {
        guard fileName.utf8.first != UInt8(ascii: ".") else { return nil }
        let halves = fileName.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let fields = halves[0].split(separator: ",", omittingEmptySubsequences: false)
        guard let first = fields.first, !first.isEmpty else { return nil }
        stem = String(first)
        diskOctets = Self.size("S=", in: fields.dropFirst())
        wireOctets = Self.size("W=", in: fields.dropFirst())
        checksum = Self.field("C=", in: fields.dropFirst()).flatMap(Self.checksum)
        digest = Self.field("D=", in: fields.dropFirst()).flatMap { ContentDigest($0.utf8) }
        info = halves.count == 2 ? String(halves[1]) : ""
    }

    /// The identity, if the stem can be one; a foreign tool's stem may be too long or hold odd bytes.
    package var identity: MessageIdentity? { MessageIdentity(stem) }

    /// The file name in `new/`: without flags.
    package var text: String {
        String(unsafeUninitializedCapacity: stem.utf8.count + Self.fieldsBytesMax) { room in
            var writer = NameWriter(room)
            writer.append(stem)
            Self.append(diskOctets, wireOctets, checksum, digest, to: &writer)
            return writer.count
        }
    }

    /// What stands behind the stem, put behind what `name` holds.
    package static func appendFields(
        diskOctets: Int?, wireOctets: Int?, checksum: UInt64?, digest: ContentDigest?, to name: inout [UInt8]
    ) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: fieldsBytesMax) { room in
            var writer = NameWriter(room)
            append(diskOctets, wireOctets, checksum, digest, to: &writer)
            name.append(contentsOf: UnsafeMutableBufferPointer(rebasing: room[..<writer.count]))
        }
    }

    /// Each of the four has a comma, a letter, an equals sign, and at most as many characters as a content digest.
    private static let fieldsBytesMax = 4 * (3 + ContentDigest.textLength)

    private static func append(
        _ diskOctets: Int?, _ wireOctets: Int?, _ checksum: UInt64?, _ digest: ContentDigest?,
        to writer: inout NameWriter
    ) {
        if let diskOctets {
            writer.append(",S=")
            writer.append(Int64(diskOctets))
        }
        if let wireOctets {
            writer.append(",W=")
            writer.append(Int64(wireOctets))
        }
        if let checksum {
            writer.append(",C=")
            writer.append(checksum, radix: 16, digits: 16)
        }
        if let digest {
            writer.append(",D=")
            digest.forEachCharacter { writer.append($0) }
        }
    }

    private static func size(_ key: String, in fields: ArraySlice<Substring>) -> Int? {
        guard let digits = field(key, in: fields), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(digits)
    }

    private static func field(_ key: String, in fields: ArraySlice<Substring>) -> Substring? {
        fields.first { $0.hasPrefix(key) }?.dropFirst(key.count)
    }

    private static func checksum(_ text: Substring) -> UInt64? {
        let isHex = text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        return text.utf8.count == 16 && isHex ? UInt64(text, radix: 16) : nil
    }
}
